//! Linear probes: what each start knows of the classes before anything is fine-tuned.

use remedis_model::Backbone;
use remedis_train::neighbours::hits;
use remedis_train::{Pool, Sample, Session, embeddings, probe};

use super::teach::METHODS;
use crate::results::ProbeResult;

/// Fits a linear classifier on the embeddings of `few` from each of the two starts; `val` chooses its penalty, `test` measures.
pub(super) fn measure(
    session: &Session,
    starts: [&Backbone; 2],
    [few, val, test]: [&Pool; 3],
    n_classes: usize,
) -> Vec<ProbeResult> {
    let preprocessing = session.plan.input.preprocessing();
    let one = |(method, backbone): (&'static str, &Backbone)| {
        let [few, val, test] = [few, val, test]
            .map(|pool| Embedded::new(pool, |pool| embeddings(backbone, pool, &preprocessing, &session.device)));
        let fitted = probe(few.sample(), val.sample(), n_classes);
        let tested = fitted.as_ref().map(|probe| hits(&test.labels, &probe.decisions(&test.embeddings)));
        ProbeResult {
            method,
            n_labels: few.labels.len(),
            n: test.labels.len(),
            penalty: fitted.as_ref().map(|probe| probe.penalty),
            validation: fitted.and_then(|probe| probe.validation.balanced_accuracy),
            balanced_accuracy: tested.and_then(|tested| tested.balanced_accuracy),
        }
    };
    METHODS.into_iter().zip(starts).map(one).collect()
}

/// The labelled images of a pool.
struct Embedded {
    embeddings: Vec<Vec<f32>>,
    labels: Vec<usize>,
}

impl Embedded {
    fn new(pool: &Pool, embed: impl Fn(&Pool) -> Vec<Vec<f32>>) -> Self {
        let pool = pool.subset(&pool.labelled());
        Self { embeddings: embed(&pool), labels: pool.labels.iter().flatten().copied().collect() }
    }

    fn sample(&self) -> Sample<'_> {
        Sample { embeddings: &self.embeddings, labels: &self.labels }
    }
}
