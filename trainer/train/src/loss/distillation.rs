//! What a student learns from a teacher.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};

use super::nt_xent::unit_length;

/// Kullback-Leibler divergence of the student's softened answers from the teacher's, times the squared temperature.
///
/// The square keeps the gradient's size independent of the temperature. No gradient flows to the teacher.
/// Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2, as in `FunMatch` (Beyer et al. 2021).
///
/// # Shapes
/// - `student`, `teacher`: logits, `[batch, class]`
/// - returns: `[1]`
///
/// # Panics
/// If the two shapes differ or `temperature` is not positive.
#[must_use]
pub fn distillation(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    assert_eq!(student.dims(), teacher.dims(), "student and teacher answer with logits of different shapes");
    assert!(temperature > 0.0, "temperature is {temperature}, expected a positive number");
    let batch = student.dims()[0] as f64;
    let teacher = teacher.detach().div_scalar(temperature);
    let gap = log_softmax(teacher.clone(), 1) - log_softmax(student.div_scalar(temperature), 1);
    (softmax(teacher, 1) * gap).sum().mul_scalar(temperature * temperature / batch)
}

/// One minus the cosine between the student's embedding and the teacher's, averaged over the batch: 0 to 2.
///
/// No gradient flows to the teacher.
///
/// # Shapes
/// - `student`, `teacher`: `[batch, embedding]`
/// - returns: `[1]`
///
/// # Panics
/// If the two shapes differ.
#[must_use]
pub fn embedding_distance(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    assert_eq!(student.dims(), teacher.dims(), "student and teacher have embeddings of different shapes");
    let cosine = (unit_length(student) * unit_length(teacher.detach())).sum_dim(1);
    cosine.mean().neg().add_scalar(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::check::gradient_error;
    use super::*;
    use crate::checkpoint::floats;
    use burn::tensor::Device;

    const STUDENT: [f32; 6] = [1.0, 2.0, 3.0, 0.5, -1.0, 0.0];

    fn teacher(device: &Device) -> Tensor<2> {
        Tensor::from_data([[2.0, 0.0, 1.0], [0.0, -1.0, 3.0]], device)
    }

    fn student() -> Tensor<2> {
        Tensor::<1>::from_data(STUDENT, &Device::flex()).reshape([2, 3])
    }

    /// ```python
    /// from math import *
    /// student, teacher, t = [[1, 2, 3], [.5, -1, 0]], [[2, 0, 1], [0, -1, 3]], 2
    /// def p(row): e = [exp(v / t) for v in row]; return [v / sum(e) for v in e]
    /// print(t * t * sum(q * log(q / s) for a, b in zip(student, teacher) for s, q in zip(p(a), p(b))) / 2)
    /// cosine = lambda a, b: sum(x * y for x, y in zip(a, b)) / hypot(*a) / hypot(*b)
    /// print(1 - sum(cosine(a, b) for a, b in zip(student, teacher)) / 2)
    /// ```
    #[test]
    fn values_are_those_of_the_definition() {
        let device = Device::flex();
        let answers = floats(distillation(student(), teacher(&device), 2.0))[0];
        assert!((answers - 1.155_876).abs() < 1e-5, "{answers}");
        let places = floats(embedding_distance(student(), teacher(&device)))[0];
        assert!((places - 0.559_771).abs() < 1e-5, "{places}");
    }

    #[test]
    fn a_student_that_agrees_has_nothing_to_learn() {
        assert!(floats(distillation(student(), student(), 3.0))[0].abs() < 1e-6);
        assert!(floats(embedding_distance(student() * 2.0, student()))[0].abs() < 1e-6);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let error = gradient_error(&STUDENT, [2, 3], |x| distillation(x.clone(), teacher(&x.device()), 2.0));
        assert!(error < 1e-3, "{error}");
        let error = gradient_error(&STUDENT, [2, 3], |x| embedding_distance(x.clone(), teacher(&x.device())));
        assert!(error < 1e-3, "{error}");
    }
}
