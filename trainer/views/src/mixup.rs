//! Mixup.

/// Makes every image of a batch of `n` equal images `weight` times itself plus `1 - weight` times its partner, which is the image as far
/// from the batch's end as it is from its beginning; labels mix likewise. A batch in random order needs no other partners.
///
/// Source: Zhang et al. 2018, "mixup: Beyond empirical risk minimization", equation 1, one weight a batch as in BiT's code. The weight
/// comes from [`Chance::beta`](crate::Chance::beta).
///
/// # Panics
/// If `batch` is not `n` images of one size.
pub fn mixup(batch: &mut [f32], n: usize, weight: f32) {
    assert!(n > 0 && batch.len().is_multiple_of(n), "{} values in {n} images", batch.len());
    let size = batch.len() / n;
    let (first, second) = batch.split_at_mut(n / 2 * size);
    // With an odd number the one in the middle is its own partner.
    let partners = second.chunks_exact_mut(size).skip(n % 2).rev();
    for (image, partner) in first.chunks_exact_mut(size).zip(partners) {
        for (a, b) in image.iter_mut().zip(partner) {
            (*a, *b) = (weight * *a + (1.0 - weight) * *b, weight * *b + (1.0 - weight) * *a);
        }
    }
}

/// Mixes each of `n` images of one size with the one before it, the first with the last: `image[i] = weight * image[i] +
/// (1 - weight) * image[i - 1]`. So that no two mixtures are of the same two images, as those of [`mixup`] are.
///
/// Source: google-research/big_vision, `utils.py`, as `FunMatch` uses it (Beyer et al. 2022).
///
/// # Panics
/// If `batch` does not hold `n` images of one size.
pub fn roll_mixup(batch: &mut [f32], n: usize, weight: f32) {
    assert!(n > 0 && batch.len().is_multiple_of(n), "{} values in {n} images", batch.len());
    let size = batch.len() / n;
    let last = batch[(n - 1) * size..].to_vec();
    for i in (0..n).rev() {
        let (before, from) = batch.split_at_mut(i * size);
        let before = if i == 0 { &last } else { &before[(i - 1) * size..] };
        for (a, b) in from[..size].iter_mut().zip(before) {
            *a = weight * *a + (1.0 - weight) * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolled_partners_are_the_images_before() {
        let mut batch = [0.0, 1.0, 10.0, 11.0, 20.0, 21.0];
        roll_mixup(&mut batch, 3, 0.75);
        assert_eq!(batch, [5.0, 6.0, 7.5, 8.5, 17.5, 18.5]);
        let mut one = [3.0, 4.0];
        roll_mixup(&mut one, 1, 0.25);
        assert_eq!(one, [3.0, 4.0]);
    }

    #[test]
    fn partners_are_counted_from_both_ends() {
        let mut batch = [0.0, 1.0, 10.0, 11.0, 20.0, 21.0];
        mixup(&mut batch, 3, 0.75);
        assert_eq!(batch, [5.0, 6.0, 10.0, 11.0, 15.0, 16.0]);
        let mut batch = [0.0, 1.0, 2.0, 4.0];
        mixup(&mut batch, 4, 0.5);
        assert_eq!(batch, [2.0, 1.5, 1.5, 2.0]);
    }
}
