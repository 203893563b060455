//! Stage 2: contrastive, on unlabelled images of the domain.
//!
//! Sources: Chen et al. 2020 (`SimCLR`) for the loss, the head and the views; Azizi et al. 2021 (`MICLe`) for positive pairs of two
//! different images of one patient. With LARS, a rate that grows with the square root of the batch, as its authors advise for
//! small batches (google-research/simclr issue 166). Labels are never read.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor};
use remedis_model::{Backbone, ProjectionHead, Weights};
use remedis_views::Key;

use super::gradients::{Headed, Judged, Share, Sight, judge};
use super::network;
use super::pairs::{Pair, Units};
use super::run::{Best, Course, finish_with, finished, place, run};
use super::watch::{Watch, Watcher};
use crate::loader::{Draw, to_tensor, views_of};
use crate::loss::{self, Objective};
use crate::optimiser;
use crate::plan::{ContrastConfig, ContrastOptimiser, Taken};
use crate::pool::Pool;
use crate::schedule::Fall;
use crate::session::{Session, TrainError};

/// What is trained: the backbone, and a head that is thrown away afterwards.
#[derive(Module, Debug)]
pub(crate) struct Contrastive {
    pub(super) backbone: Backbone,
    pub(super) projection: ProjectionHead,
}

impl Contrastive {
    /// A new head, for projections of this length, on `backbone`.
    pub(crate) fn new(backbone: Backbone, projection: usize, seed: u64, device: &Device) -> Self {
        let projection = network::projection(&backbone, projection, seed, device);
        Self { backbone, projection }
    }

    /// Loss and gradients of this rank's first views and, in the same order, second views.
    pub(crate) fn judge(&self, both: Tensor<4>, share: &Share, objective: Objective, temperature: f64) -> Judged {
        judge(self, both, share, |network: &Self, embedding| {
            let projected = network.projection.forward(embedding);
            let projected = if objective.takes_unit_length() { loss::unit_length(projected) } else { projected };
            let [view_a, view_b]: [Tensor<2>; 2] =
                projected.chunk(2, 0).try_into().expect("a batch of pairs has two halves of one size");
            objective.loss(view_a, view_b, temperature)
        })
    }
}

impl Headed for Contrastive {
    fn backbone(&self) -> &Backbone {
        &self.backbone
    }
}

/// Trains `start` on the images of `pool` without their labels.
///
/// Two views make a positive pair: of two different images of one patient where the plan asks for it and the patient has them,
/// else of one image. A batch holds one pair a patient, so no patient is its own negative. With `epochs` 0, `start` comes back.
///
/// `watch` says on what labelled images the network is watched on its way; they teach nothing, but choose where the plan takes the
/// best network instead of the last. That one is kept beside in any case. Ranks share each batch, and every
/// view is a negative of those of all ranks. `contrast.at_once` bounds the memory, not the batch.
///
/// # Errors
/// If there are not at least two patients (or images of unknown patients), the ranks cannot share a batch, training diverges, was
/// asked to stop, or a checkpoint cannot be read or written.
///
/// # Panics
/// If `start` is not of the plan's backbone.
pub fn contrast(
    session: &mut Session,
    start: Backbone,
    pool: &Pool,
    watch: Option<&Watch>,
) -> Result<Backbone, TrainError> {
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
    check_share(session, batch, &config, &start)?;
    let course = course(session, &config, batch, pool, watch, &start);
    let seed = network::seed(Key::new(session.plan.seed, "contrast"));
    if let Some(done) = finished(session, &course, network::backbone(session.plan, seed, &session.device))? {
        return Ok(done);
    }
    let device = session.device.clone().autodiff();
    let backbone = Weights::of(&start)
        .apply(network::backbone(session.plan, seed, &device))
        .unwrap_or_else(|wrong| panic!("contrastive training from another network: {wrong}"));

    let preprocessing = session.plan.input.preprocessing();
    let (views, key) = (config.augment.views(), Key::new(session.plan.seed, "contrast"));
    let ranks = session.ranks.clone();
    let own = batch / ranks.count();
    let draw = |step| {
        let pairs = &units.pairs(key, batch, step)[ranks.rank() * own..][..own];
        let side = |view_index, image: fn(&Pair) -> usize| {
            let draws: Vec<_> = pairs.iter().map(|pair| Draw { epoch: pair.epoch, index: image(pair) }).collect();
            views_of(pool, &draws, view_index, &views, key, &preprocessing)
        };
        let mut both = side(0, |pair| pair.first);
        both.extend(side(1, |pair| pair.second));
        both
    };
    let optimiser = match config.optimiser {
        ContrastOptimiser::Lars => optimiser::lars(config.weight_decay),
        ContrastOptimiser::AdamW => AdamWConfig::new().with_weight_decay(config.weight_decay as f32).init(),
    };
    let start = Contrastive::new(backbone, config.projection, seed, &device);
    let (at_once, precision) = (config.at_once, course.precision);
    let share = Share { ranks: &ranks, at_once, sight: Sight::AllPairs, device: &device, precision, loss_scale: 1.0 };
    let step = |network: &Contrastive, both: Vec<f32>, loss_scale| {
        let (both, share) = (to_tensor(both, &preprocessing, &device), Share { loss_scale, ..share });
        network.judge(both, &share, config.objective, config.temperature)
    };
    let mut watcher = ranks.is_first().then(|| (Watcher::new(session, &course, pool, watch), Best::of(&course)));
    let trained = run(session, &course, start, optimiser, draw, step, &mut |done, network, observer| {
        let Some((watcher, best)) = &mut watcher else { return Ok(()) };
        match watcher.look(done, network, observer) {
            // Before the first step it is the stage before whose network this is.
            Some(knn) if done > 0 => best.offer(done, vec![knn], &network.backbone),
            _ => Ok(()),
        }
    })?;
    finish_with(session, &course, &trained.backbone, config.result)
}

/// Refuses a batch that ranks cannot share, and parts of batches where the backbone must see the whole.
fn check_share(session: &Session, batch: usize, config: &ContrastConfig, start: &Backbone) -> Result<(), TrainError> {
    let (ranks, stage) = (session.ranks.count(), "contrast".to_owned());
    if start.sees_the_batch() && (ranks > 1 || config.at_once > 0) {
        return Err(TrainError::SeesTheBatch { stage });
    }
    if !batch.is_multiple_of(ranks) {
        return Err(TrainError::Uneven { stage, section: "contrast", batch, ranks, multiple: ranks });
    }
    Ok(())
}

fn course(
    session: &Session,
    config: &ContrastConfig,
    batch: usize,
    pool: &Pool,
    watch: Option<&Watch>,
    start: &Backbone,
) -> Course {
    let mut data = vec![pool.sha256(), Weights::of(start).sha256()];
    if config.result == Taken::Best {
        data.extend(watch.into_iter().flat_map(|watch| [watch.train.sha256(), watch.val.sha256()]));
    }
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    Course {
        name: "contrast".to_owned(),
        section: "contrast",
        total: (config.epochs * pool.len()).div_ceil(batch) as u64,
        images_per_step: 2 * batch,
        learning_rate: config.learning_rate_per_sqrt_batch * (batch as f64).sqrt(),
        warm_up: config.warm_up,
        fall: Fall::Cosine,
        clip_norm: config.clip_norm,
        precision: session.plan.precision,
        place: place(session, "contrast", config, &data),
    }
}
