//! Whether a run fits into memory, before anything is loaded.

use anyhow::{Result, bail};
use remedis_data::Split;
use remedis_train::Plan;
use remedis_train::memory::{MemoryNeed, memory_need};
use remedis_train::storage::size;

use super::courses;
use super::sets::{Set, Sets};
use crate::arguments::Devices;

/// What a run holds at its fullest.
///
/// Decoded images have a byte or two a channel, as the plan says: at up to twice the input's size for training images, unless they stay in the shards of a
/// prepared set (pools of the same images share them), at the input's size for validation and test images, of which the largest
/// pool is once turned into 32-bit values.
pub(crate) fn estimate(plan: &Plan, sets: &Sets) -> MemoryNeed {
    let channels = plan.input.channels.count() as f64;
    let side = f64::from(plan.input.size_px);
    let values = side * side * channels;
    let input = values * plan.input.depth_bits.bytes() as f64;
    let count = |rows: Vec<usize>| rows.len() as f64;
    let drawn = |set: &Set, rows: Vec<usize>| {
        if set.stays_in_shards(&rows) { 0.0 } else { count(rows) * input * mean_scale(set, side).powi(2) }
    };
    let train = |set: &Set| drawn(set, set.rows(&[Split::Train]));
    let mut images = sets.natural.as_ref().map_or(0.0, train) + train(&sets.data);
    let [val, mut test] = [Split::Val, Split::Test].map(|split| count(sets.data.rows(&[split])));
    images += (val + test) * input;
    if let Some(shifted) = &sets.shifted {
        let (adapt, shifted_test, _) = shifted.adaptation();
        images += drawn(shifted, adapt);
        images += count(shifted_test.clone()) * input;
        test = test.max(count(shifted_test));
    }
    images += 4.0 * values * test.max(val);
    memory_need(plan, images as u64, courses::training_images(sets).1)
}

/// By how much the pictures of a set are larger than the input where they are kept for crops: from 1 to 2, on average.
fn mean_scale(set: &Set, side: f64) -> f64 {
    let (mut sum, mut all) = (0.0, 0.0);
    for (size, &count) in &set.audit.sizes {
        let sides = size.split_once(" x ").and_then(|(w, h)| Some((w.parse::<f64>().ok()?, h.parse::<f64>().ok()?)));
        let shorter = sides.map_or(2.0 * side, |(width, height)| width.min(height));
        sum += count as f64 * (shorter / side).clamp(1.0, 2.0);
        all += count as f64;
    }
    if all > 0.0 { sum / all } else { 2.0 }
}

/// Bytes of this machine's own memory that a run takes: what computes elsewhere has its own. Ranks share the images and the step, and
/// each has its networks.
pub(crate) fn host_bytes(need: &MemoryNeed, devices: &Devices) -> u64 {
    match devices.n_on_host() {
        0 => need.images,
        ranks => need.total + (ranks - 1) * (need.networks + need.training),
    }
}

/// That a run cannot fit, with the numbers and what to change.
pub(crate) fn too_little(need: &MemoryNeed, devices: &Devices, available: Option<(u64, &str)>) -> Option<String> {
    let (available, source) = available?;
    let wanted = host_bytes(need, devices);
    (wanted > available).then(|| {
        format!(
            "memory will not do: this run takes about {} at its fullest ({} for images, {} for the networks of other stages, {} \
             to train {} and {} for its step), and {} are available (says {source}); lower {}.batch or input.size_px in the \
             plan, choose a smaller backbone.preset, or use a machine with more memory",
            size(wanted),
            size(need.images),
            size(need.networks),
            size(need.training),
            need.stage,
            size(need.step),
            size(available),
            if need.stage == "evaluate" { "contrast" } else { need.stage }
        )
    })
}

/// Refuses a run that cannot fit.
pub(crate) fn refuse(need: &MemoryNeed, devices: &Devices, available: Option<(u64, &str)>) -> Result<()> {
    match too_little(need, devices, available) {
        Some(problem) => bail!("{problem}; --ignore-memory begins all the same"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(devices: &str) -> Devices {
        devices.parse().unwrap()
    }

    fn need() -> MemoryNeed {
        MemoryNeed {
            images: 2_000_000_000,
            networks: 6_000_000_000,
            stage: "contrast",
            training: 5_000_000_000,
            step: 7_000_000_000,
            total: 24_000_000_000,
        }
    }

    #[test]
    fn a_run_that_cannot_fit_is_refused_with_the_numbers_and_what_to_change() {
        let error = refuse(&need(), &on("cpu"), Some((8_000_000_000, "/proc/meminfo"))).unwrap_err().to_string();
        assert_eq!(
            error,
            "memory will not do: this run takes about 24.0 GB at its fullest (2.0 GB for images, 6.0 GB for the networks of other \
             stages, 5.0 GB to train contrast and 7.0 GB for its step), and 8.0 GB are available (says /proc/meminfo); lower \
             contrast.batch or input.size_px in the plan, choose a smaller backbone.preset, or use a machine with more memory; \
             --ignore-memory begins all the same"
        );
    }

    #[test]
    fn what_fits_or_is_not_known_may_begin_and_a_gpu_has_memory_of_its_own() {
        assert!(refuse(&need(), &on("cpu"), Some((25_000_000_000, "x"))).is_ok());
        assert!(refuse(&need(), &on("cpu"), None).is_ok());
        let of_two = host_bytes(&need(), &on("cpu,cpu"));
        assert_eq!(of_two, need().total + need().networks + need().training);
        assert!(refuse(&need(), &on("cuda:0,1"), Some((8_000_000_000, "x"))).is_ok());
    }
}
