//! Stage 2: contrastive, on unlabelled images of the domain.
//!
//! Sources: Chen et al. 2020 (`SimCLR`) for the loss, the head and the views; Azizi et al. 2021 (`MICLe`) for positive pairs of two
//! different images of one patient. With LARS, a rate that grows with the square root of the batch, as its authors advise for
//! small batches (google-research/simclr issue 166). Labels are never read.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Tensor;
use remedis_model::{BitResNet, ProjectionHead, Weights};
use remedis_views::Key;

use super::network;
use super::pairs::{Pair, Units};
use super::run::{Course, Judged, finish, finished, place, run};
use crate::loader::{Draw, to_tensor, views_of};
use crate::loss;
use crate::optimiser;
use crate::plan::{ContrastConfig, ContrastOptimiser};
use crate::pool::Pool;
use crate::session::{Session, TrainError};

/// Below this spread of the projections (1 is even over the sphere) the embedding is collapsing to a point.
const COLLAPSE: f64 = 0.1;

/// What is trained: the backbone, and a head that is thrown away afterwards.
#[derive(Module, Debug)]
struct Contrastive {
    backbone: BitResNet,
    projection: ProjectionHead,
}

/// Trains `start` on the images of `pool` without their labels.
///
/// Two views make a positive pair: of two different images of one patient where the plan asks for it and the patient has them,
/// else of one image. A batch holds one pair a patient, so no patient is its own negative. With `epochs` 0, `start` comes back.
///
/// # Errors
/// If there are not at least two patients (or images of unknown patients), training diverges, was asked to stop, or a
/// checkpoint cannot be read or written.
///
/// # Panics
/// If `start` is not of the plan's backbone.
pub fn contrast(session: &mut Session, start: BitResNet, pool: &Pool) -> Result<BitResNet, TrainError> {
    let config = session.plan.contrast.clone();
    if config.epochs == 0 {
        return Ok(start);
    }
    let units = Units::new(pool, config.pair_by_patient);
    if units.len() < 2 {
        let stage = "contrast".to_owned();
        return Err(TrainError::TooFew { stage, what: "patients or images", expected: 2, found: units.len() });
    }
    let batch = config.batch.min(units.len());
    let course = course(session, &config, batch, pool, &start);
    let seed = network::seed(Key::new(session.plan.seed, "contrast"));
    if let Some(done) = finished(session, &course, network::backbone(session.plan, seed, &session.device))? {
        return Ok(done);
    }
    let device = session.device.clone().autodiff();
    let backbone = Weights::of(&start)
        .apply(network::backbone(session.plan, seed, &device))
        .unwrap_or_else(|wrong| panic!("contrastive training from another network: {wrong}"));
    let projection = network::projection(&backbone, config.projection, seed, &device);

    let preprocessing = session.plan.input.preprocessing();
    let (views, key) = (config.augment.views(), Key::new(session.plan.seed, "contrast"));
    let draw = |step| {
        let pairs = units.pairs(key, batch, step);
        let side = |view_index, image: fn(&Pair) -> usize| {
            let draws: Vec<_> = pairs.iter().map(|pair| Draw { epoch: pair.epoch, index: image(pair) }).collect();
            views_of(pool, &draws, view_index, &views, key, &preprocessing)
        };
        let mut both = side(0, |pair| pair.first);
        both.extend(side(1, |pair| pair.second));
        both
    };
    let report_every = (course.total / 10).max(1);
    let total = course.total;
    let optimiser = match config.optimiser {
        ContrastOptimiser::Lars => optimiser::lars(config.weight_decay),
        ContrastOptimiser::AdamW => AdamWConfig::new().with_weight_decay(config.weight_decay as f32).init(),
    };
    let start = Contrastive { backbone, projection };
    let trained = run(session, &course, start, optimiser, draw, |network: &Contrastive, both: Vec<f32>, step| {
        let embedding = network.backbone.forward(to_tensor(both, &preprocessing, &device));
        let projected = loss::unit_length(network.projection.forward(embedding));
        let reports = (step + 1) % report_every == 0 || step + 1 == total;
        let note = reports.then(|| spread_note(spread(projected.clone())));
        let [view_a, view_b]: [Tensor<2>; 2] =
            projected.chunk(2, 0).try_into().expect("a batch of pairs has two halves of one size");
        Judged { loss: loss::nt_xent(view_a, view_b, config.temperature), note }
    })?;
    Ok(finish(&course, &trained.backbone)?)
}

fn course(session: &Session, config: &ContrastConfig, batch: usize, pool: &Pool, start: &BitResNet) -> Course {
    Course {
        name: "contrast".to_owned(),
        section: "contrast",
        total: (config.epochs * pool.len()).div_ceil(batch) as u64,
        images_per_step: 2 * batch,
        learning_rate: config.learning_rate_per_sqrt_batch * (batch as f64).sqrt(),
        warm_up: config.warm_up,
        clip_norm: config.clip_norm,
        place: place(session, "contrast", config, &[&pool.sha256(), &Weights::of(start).sha256()]),
    }
}

/// How far the projections fill the sphere: the standard deviation of unit vectors, averaged over the axes, times the square
/// root of their number. 1 when they are spread evenly, 0 when all are one point (Chen and He 2021, `SimSiam`, section 4.1).
fn spread(projected: Tensor<2>) -> f64 {
    let [n, width] = projected.dims();
    let values = crate::checkpoint::floats(projected);
    let deviation = |axis: usize| {
        let column = || values.iter().skip(axis).step_by(width).map(|value| f64::from(*value));
        let mean = column().sum::<f64>() / n as f64;
        (column().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64).sqrt()
    };
    (0..width).map(deviation).sum::<f64>() / width as f64 * (width as f64).sqrt()
}

fn spread_note(spread: f64) -> String {
    if spread < COLLAPSE {
        return format!(
            "embeddings are collapsing: spread {spread:.3} (1 is even, below {COLLAPSE} is collapse); \
             lower contrast.learning_rate_per_sqrt_batch or raise contrast.temperature"
        );
    }
    format!("embedding spread {spread:.3} (1 is even, below {COLLAPSE} is collapse)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn one_point_has_no_spread_and_opposite_axes_have_full_spread() {
        let device = Device::flex();
        assert_eq!(spread(Tensor::from_data([[1.0, 0.0], [1.0, 0.0]], &device)), 0.0);
        let even = Tensor::from_data([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], &device);
        assert!((spread(even) - 1.0).abs() < 1e-6);
        assert!(spread_note(0.01).contains("collapsing"));
    }
}
