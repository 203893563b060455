//! Logits and embeddings of a whole pool, in evaluation mode and without autodiff.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_imaging::Preprocessing;
use remedis_model::{Backbone, Classifier, Student};

use crate::checkpoint::floats;
use crate::loader::to_tensor;
use crate::pool::Pool;
use crate::stage::among_threads;

/// Images forwarded at once; fixed, so that results do not depend on the pool's size.
const BATCH: usize = 64;

/// Logits of every image of the pool, in its order: `[image][class]`.
#[must_use]
pub fn logits(classifier: &Classifier, pool: &Pool, preprocessing: &Preprocessing, device: &Device) -> Vec<Vec<f32>> {
    let network = on_device(classifier, device);
    each_batch(pool, preprocessing, device, |x| network.forward(x))
}

/// Logits of every image of the pool from the student, in its order: `[image][class]`.
#[must_use]
pub fn student_logits(student: &Student, pool: &Pool, preprocessing: &Preprocessing, device: &Device) -> Vec<Vec<f32>> {
    let network = on_device(student, device);
    each_batch(pool, preprocessing, device, |x| network.forward(x))
}

/// Embeddings of every image of the pool, in its order: `[image][embedding]`.
#[must_use]
pub fn embeddings(backbone: &Backbone, pool: &Pool, preprocessing: &Preprocessing, device: &Device) -> Vec<Vec<f32>> {
    let network = on_device(backbone, device);
    each_batch(pool, preprocessing, device, |x| network.forward(x))
}

fn on_device<M: Module>(network: &M, device: &Device) -> M {
    network.valid().to_device(&device.clone().without_autodiff())
}

fn each_batch(
    pool: &Pool,
    preprocessing: &Preprocessing,
    device: &Device,
    forward: impl Fn(Tensor<4>) -> Tensor<2> + Sync,
) -> Vec<Vec<f32>> {
    let device = device.clone().without_autodiff();
    let prepared = pool.prepared(preprocessing);
    let mut out = Vec::with_capacity(pool.len());
    for batch in prepared.chunks(BATCH) {
        let (values, width) = among_threads(|| {
            let y = forward(to_tensor(batch.concat(), preprocessing, &device));
            let width = y.dims()[1];
            (floats(y), width)
        });
        out.extend(values.chunks_exact(width).map(<[f32]>::to_vec));
    }
    out
}
