//! Looking at a network while it learns without labels: the loss alone does not say whether it learns anything of use.
//!
//! A tenth of the stage apart: whether its embeddings collapse, to a point or to few directions, and how well the nearest labelled
//! neighbours of validation images vote. The labels teach nothing; nothing seen here changes the weights.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_imaging::Preprocessing;
use remedis_model::Backbone;

use super::contrast::Contrastive;
use super::run::{Course, is_watched};
use crate::checkpoint::floats;
use crate::evaluate::embeddings;
use crate::loss::unit_length;
use crate::neighbours::{hits, knn};
use crate::pool::Pool;
use crate::session::{Observer, Session, WatchRecord};

/// Images without labels that are looked at.
const SAMPLE: usize = 256;
/// Neighbours that vote.
const NEIGHBOURS: usize = 20;
/// Below this spread of the projections (1 is even over the sphere) the embedding is collapsing to a point.
const COLLAPSE: f64 = 0.1;
/// Fewer directions than this are a collapse, too.
const FEW_DIMENSIONS: f64 = 2.0;
/// The vote may fall this far below its best, in standard errors of a share, before it is an alarm.
const FALL: f64 = 3.0;

/// Labelled images to watch a network by. They teach nothing.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Those that vote.
    pub train: Pool,
    /// Those that are voted on.
    pub val: Pool,
    /// Number of classes.
    pub n_classes: usize,
}

/// Looks at a contrastive stage.
pub(super) struct Watcher<'a> {
    stage: String,
    total: u64,
    device: Device,
    preprocessing: Preprocessing,
    sample: Pool,
    watch: Option<&'a Watch>,
    best: Option<f64>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(session: &Session, course: &Course, pool: &Pool, watch: Option<&'a Watch>) -> Self {
        let n = SAMPLE.min(pool.len());
        let sample: Vec<usize> = (0..n).map(|i| i * pool.len() / n).collect();
        Self {
            stage: course.name.clone(),
            total: course.total,
            device: session.device.clone().without_autodiff(),
            preprocessing: session.plan.input.preprocessing(),
            sample: pool.subset(&sample),
            watch: watch.filter(|watch| !watch.train.is_empty() && !watch.val.is_empty()),
            best: None,
        }
    }

    /// Looks, where it is time to; how the neighbours vote, where there are any.
    pub(super) fn look(&mut self, done: u64, network: &Contrastive, observer: &mut dyn Observer) -> Option<f64> {
        if !is_watched(done, self.total) {
            return None;
        }
        let network = network.valid();
        let embedded = embeddings(&network.backbone, &self.sample, &self.preprocessing, &self.device);
        let spread = spread(&self.projections(&network, &embedded));
        let dimensions = dimensions(&embedded);
        let knn = self.watch.and_then(|watch| self.vote(&network.backbone, watch));
        let alarm = self.alarm(spread, dimensions, knn);
        let (stage, total) = (self.stage.clone(), self.total);
        observer.watch(&WatchRecord { stage, watched_step: done, total, spread, dimensions, knn, alarm });
        self.best = [self.best, knn].into_iter().flatten().reduce(f64::max);
        knn
    }

    fn projections(&self, network: &Contrastive, embedded: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let width = network.backbone.embedding_size();
        let rows = Tensor::<1>::from_data(embedded.concat().as_slice(), &self.device).reshape([embedded.len(), width]);
        let projected = unit_length(network.projection.forward(rows));
        let width = projected.dims()[1];
        floats(projected).chunks_exact(width).map(<[f32]>::to_vec).collect()
    }

    /// Balanced accuracy of the neighbours' vote.
    fn vote(&self, backbone: &Backbone, watch: &Watch) -> Option<f64> {
        let embedded = |pool: &Pool| embeddings(backbone, pool, &self.preprocessing, &self.device);
        let labels: Vec<usize> = watch.train.labels.iter().flatten().copied().collect();
        let votes = knn(&embedded(&watch.train), &labels, &embedded(&watch.val), NEIGHBOURS, watch.n_classes);
        let truth: Vec<usize> = watch.val.labels.iter().flatten().copied().collect();
        hits(&truth, &votes).balanced_accuracy
    }

    fn alarm(&self, spread: f64, dimensions: f64, knn: Option<f64>) -> Option<String> {
        let remedy = "lower contrast.learning_rate_per_sqrt_batch or raise contrast.temperature";
        if spread.is_nan() || spread < COLLAPSE {
            return Some(format!(
                "projections collapse to a point: spread {spread:.3}, expected above {COLLAPSE}; {remedy}"
            ));
        }
        if dimensions.is_nan() || dimensions < FEW_DIMENSIONS {
            return Some(format!(
                "embeddings collapse to few directions: {dimensions:.1}, expected above {FEW_DIMENSIONS}; {remedy}"
            ));
        }
        let (best, knn, watch) = (self.best?, knn?, self.watch?);
        let error = (best * (1.0 - best) / watch.val.len() as f64).sqrt();
        (knn < best - FALL * error)
            .then(|| format!("neighbours vote worse than before: {knn:.3} after {best:.3}; stop earlier, or {remedy}"))
    }
}

/// How far unit vectors fill the sphere: the standard deviation of each axis, averaged, times the square root of their number. 1 when
/// they are spread evenly, 0 when all are one point (Chen and He 2021, `SimSiam`, section 4.1).
fn spread(rows: &[Vec<f32>]) -> f64 {
    let width = rows.first().map_or(0, Vec::len);
    let n = rows.len() as f64;
    let deviation = |axis: usize| {
        let column = || rows.iter().map(move |row| f64::from(row[axis]));
        let mean = column().sum::<f64>() / n;
        (column().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
    };
    (0..width).map(deviation).sum::<f64>() / (width as f64).sqrt()
}

/// How many directions vectors use: the participation ratio `(sum of eigenvalues)^2 / sum of their squares` of their covariance.
///
/// Source: Gao et al. 2017, "A theory of multineuronal dimensionality, dynamics and measurement", equation 5. Worked out from inner
/// products of the centred vectors, whose matrix has the same eigenvalues.
fn dimensions(rows: &[Vec<f32>]) -> f64 {
    let (n, width) = (rows.len(), rows.first().map_or(0, Vec::len));
    let mean: Vec<f64> =
        (0..width).map(|axis| rows.iter().map(|row| f64::from(row[axis])).sum::<f64>() / n as f64).collect();
    let centred: Vec<Vec<f64>> =
        rows.iter().map(|row| row.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect()).collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut trace, mut squares) = (0.0, 0.0);
    for (i, a) in centred.iter().enumerate() {
        let own = product(a, a);
        trace += own;
        squares += own * own + 2.0 * centred[..i].iter().map(|b| product(a, b).powi(2)).sum::<f64>();
    }
    trace * trace / squares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_point_has_no_spread_and_opposite_axes_have_full_spread() {
        assert_eq!(spread(&[vec![1.0, 0.0], vec![1.0, 0.0]]), 0.0);
        let even = [vec![1.0, 0.0], vec![-1.0, 0.0], vec![0.0, 1.0], vec![0.0, -1.0]];
        assert!((spread(&even) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_line_has_one_dimension_and_a_square_two() {
        let line = [vec![1.0, 2.0, 3.0], vec![2.0, 4.0, 6.0], vec![0.0, 0.0, 0.0]];
        assert!((dimensions(&line) - 1.0).abs() < 1e-9);
        let square = [vec![1.0, 0.0], vec![-1.0, 0.0], vec![0.0, 1.0], vec![0.0, -1.0]];
        assert!((dimensions(&square) - 2.0).abs() < 1e-9);
        assert!(dimensions(&[vec![1.0, 0.0], vec![1.0, 0.0]]).is_nan());
    }

    #[test]
    fn alarms_name_what_is_wrong_and_what_to_do() {
        let mut pool = Pool { labels: vec![Some(0); 100], ..Pool::default() };
        (0..100).for_each(|_| pool.images.push(blank()));
        let watch = Watch { train: pool.clone(), val: pool.clone(), n_classes: 2 };
        let watcher = Watcher {
            stage: "contrast".to_owned(),
            total: 10,
            device: Device::flex(),
            preprocessing: crate::Plan::tiny().input.preprocessing(),
            sample: pool,
            watch: Some(&watch),
            best: Some(0.8),
        };
        let alarm = |spread, dimensions, knn| watcher.alarm(spread, dimensions, knn).unwrap_or_default();
        assert!(alarm(f64::NAN, 9.0, None).contains("collapse to a point"));
        assert!(alarm(0.05, 9.0, None).contains("spread 0.050, expected above 0.1; lower contrast."));
        assert!(alarm(0.9, 1.2, None).contains("few directions: 1.2"));
        // Three standard errors of 80 % of 100 are 12 %.
        assert!(alarm(0.9, 9.0, Some(0.67)).contains("0.670 after 0.800"));
        assert_eq!(alarm(0.9, 9.0, Some(0.69)), "");
    }

    fn blank() -> remedis_imaging::Image {
        let channels = remedis_imaging::Channels::Grey;
        remedis_imaging::Image::new(1, 1, channels, vec![0_u8])
    }
}
