//! The words of the plan file: one comment for each key, and the hunt for keys that no plan has.

use super::{Plan, PlanError};

/// Key (dotted) and its comment. A test holds this table to the plan's keys.
const COMMENTS: &[(&str, &str)] = &[
    (
        "seed",
        "Seeds initialisation, shuffling, views and the draw of labels. Any number; the same one gives the same run.",
    ),
    (
        "precision",
        "\"f32\": any device, and the only one whose kernels a CPU has; \"bf16\" or \"f16\" (scaled losses) on GPUs, weights stay f32.",
    ),
    ("input", "What every network sees. The device gets exactly this from the bundle."),
    ("input.size_px", "Width and height. Cost grows with its square; the sets used here are stored at 64."),
    ("input.channels", "\"rgb\" or \"grey\". Natural images and stains are colour."),
    (
        "input.depth_bits",
        "8, or 16 for grey radiographs: 8 drops what differs by less than 1/255. An int8 student takes 256 steps of its own range either way.",
    ),
    ("input.mean", "Subtracted from the pixel on a scale of 0 to 1. With std 0.5 this gives BiT's range of -1 to 1."),
    ("input.std", "Divides what is left."),
    (
        "backbone",
        "The teacher: BiT ResNet-v2, GroupNorm and weight standardisation (Kolesnikov et al. 2020), or others' network.",
    ),
    (
        "backbone.preset",
        "\"small\" trains on two CPU cores; \"r50x1\" and \"r152x2\" are the paper's and want GPUs, as do \"r101x1\", \"r101x3\" and \"r152x4\"; \"efficientnet_lite0\" is for --start.",
    ),
    ("student", "The device's network: ResNet-18 form with BatchNorm and ReLU, which folds and quantises well."),
    ("student.blocks", "Blocks in each of the four groups; [2, 2, 2, 2] is ResNet-18."),
    ("student.width", "Channels of the first group; 64 is ResNet-18."),
    ("pretrain", "Stage 1: supervised on natural images; medical images start better from there than from noise."),
    ("pretrain.epochs", "Passes over the images. BiT uses 90 on ImageNet; small sets stop gaining earlier."),
    ("pretrain.batch", "Images in a step; GroupNorm works at any size."),
    (
        "pretrain.loss",
        "\"softmax\" where an image shows one class; \"sigmoid\" as BiT on ImageNet-21k, whose images may show several.",
    ),
    (
        "pretrain.learning_rate",
        "Peak, SGD momentum 0.9. BiT's 0.1 * batch / 256 is for 90 epochs; short runs want more.",
    ),
    ("pretrain.schedule", "\"cosine\" to 0, or \"steps\" of a tenth at decay_at, as BiT."),
    ("pretrain.decay_at", "Shares of the steps, used by \"steps\" alone; BiT falls after 30, 60 and 80 of 90 epochs."),
    ("pretrain.weight_decay", "On kernels only, as in BiT."),
    ("pretrain.warm_up", "Share of the steps in which the rate rises; then it falls by the schedule."),
    ("pretrain.clip_norm", "BiT clips the global gradient norm at 1."),
    ("pretrain.augment", "\"natural\": crop of 25 to 100 % of the area and horizontal flip."),
    (
        "pretrain.mixup",
        "Alpha of mixup; BiT takes 0.1 from 20,000 images on, 0 below: few images are learnt by heart either way.",
    ),
    (
        "contrast",
        "Stage 2: SimCLR on unlabelled images of the domain, or MICLe where a patient has several of one finding.",
    ),
    ("contrast.epochs", "Passes over the images; 0 leaves the stage out."),
    ("contrast.batch", "Positive pairs in a step; every other view is a negative, so larger is better."),
    (
        "contrast.at_once",
        "Views through the backbone at once; 0 is all. Fewer need less memory and a third more time, for the same gradients.",
    ),
    (
        "contrast.objective",
        "\"nt_xent\" as SimCLR; \"decoupled\" for small batches; \"vicreg\" needs no negatives and no temperature.",
    ),
    (
        "contrast.optimiser",
        "\"lars\" as SimCLR for thousands of steps; \"adam_w\" for hundreds, where LARS hardly moves.",
    ),
    (
        "contrast.learning_rate_per_sqrt_batch",
        "Times the square root of batch: 0.075 with lars (SimCLR's form for small batches), 0.00025 with adam_w.",
    ),
    ("contrast.weight_decay", "SimCLR's 1e-6, kernels only."),
    ("contrast.warm_up", "5 to 10 % of the steps; LARS needs it."),
    ("contrast.temperature", "0.1 to 0.2; small batches like the upper end."),
    ("contrast.projection", "Length of the projected embedding, 128 in SimCLR. The head is thrown away afterwards."),
    ("contrast.clip_norm", "LARS already sets step lengths; this only stops an explosion."),
    (
        "contrast.pair_by_patient",
        "MICLe: two different images of one patient as the positive pair. Only where a patient's images show one finding.",
    ),
    (
        "contrast.augment",
        "\"microscopy\": cells have no up, and stain varies; \"radiology\": no colour, equalisation instead.",
    ),
    (
        "contrast.result",
        "\"last\" network, or the \"best\" of ten by the vote of labelled neighbours, which then have a say. The best is kept beside anyway.",
    ),
    (
        "finetune",
        "Stage 3: all weights, few labels, short (after BiT-HyperRule, which uses 500 steps below 20,000 images).",
    ),
    ("finetune.n_labels", "Labels used, even over classes, by whole patients; 0 uses every label."),
    (
        "finetune.rule",
        "\"plan\": the numbers below. \"hyper_rule\": BiT's, by the number of labels, for steps, batch, rate, fall, decay, mixup.",
    ),
    ("finetune.steps", "Optimiser steps; not epochs, so that few labels train as long as many."),
    ("finetune.batch", "Images in a step."),
    ("finetune.learning_rate", "Peak, SGD momentum 0.9. BiT's 0.003 is for R50 and up; small networks want more."),
    ("finetune.schedule", "\"cosine\" to 0, or \"steps\" of a tenth at decay_at, as BiT-HyperRule."),
    ("finetune.decay_at", "Shares of the steps, used by \"steps\" alone; BiT-HyperRule: 200, 300 and 400 of 500."),
    ("finetune.weight_decay", "BiT-HyperRule uses none; a little helps networks trained for minutes."),
    ("finetune.warm_up", "Spares the backbone while the zero-initialised head finds its direction."),
    ("finetune.clip_norm", "Stops a bad batch of few labels from undoing the pretraining."),
    ("finetune.augment", "\"microscopy_mild\" (or \"radiology_mild\"): large crops, flips and turns, little colour."),
    ("finetune.mixup", "Alpha of mixup; BiT-HyperRule takes 0.1 from 20,000 labels on, 0 below."),
    (
        "finetune.grid_rates",
        "Rates to choose from by validation here, for the new site too, [] for none; REMEDIS: 0.000316, 0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316.",
    ),
    (
        "finetune.grid_decays",
        "Weight decays to try with each of them; REMEDIS: 0, 0.00001, 0.0001, 0.001. Costs their product.",
    ),
    (
        "finetune.result",
        "\"last\" network, or the \"best\" of ten by validation here, for runs long enough to overfit; at the new site always the last.",
    ),
    ("evaluate", "The label-efficiency curve, and the bootstrap behind every interval."),
    (
        "evaluate.fractions",
        "Shares of the new site's labels, rising; 0 is zero-shot. Each non-zero one is two fine-tunings.",
    ),
    ("evaluate.resamples", "Bootstrap resamples of whole patients; 2000 makes the ends of a 95 % interval steady."),
    (
        "self_distil",
        "Between stages 3 and 4: the teacher's answers on all images to a network of its form (SimCLRv2, Chen et al. 2020).",
    ),
    ("self_distil.epochs", "Passes over labelled and unlabelled images; 0 leaves the stage out."),
    ("self_distil.batch", "Images in a step; GroupNorm works at any size."),
    (
        "self_distil.learning_rate",
        "Peak, SGD momentum 0.9; the pupil starts from the contrastive weights, as fine-tuning does.",
    ),
    ("self_distil.weight_decay", "Kernels only."),
    ("self_distil.warm_up", "Spares the backbone while the zero-initialised head finds its direction."),
    ("self_distil.temperature", "SimCLRv2 takes 1 where the teacher saw few labels."),
    ("self_distil.clip_norm", "As in fine-tuning."),
    ("self_distil.augment", "Teacher and pupil see the same view."),
    ("self_distil.mixup", "Alpha of mixup, 0 for none; both see the same mixture."),
    ("distil", "Stage 4: teacher to student on the same views, no labels needed (FunMatch, Beyer et al. 2022)."),
    ("distil.epochs", "Passes over labelled and unlabelled images; patience pays more than any other setting."),
    ("distil.batch", "Images in a step; the student's BatchNorm wants 32 or more."),
    ("distil.learning_rate", "Peak, SGD momentum 0.9; the student starts from noise, so this is high."),
    ("distil.weight_decay", "Kernels only."),
    ("distil.warm_up", "Share of the steps in which the rate rises."),
    (
        "distil.temperature",
        "1, 2 or 5 in FunMatch; 2 shows the student the second guesses of a teacher sure of itself.",
    ),
    (
        "distil.embedding_weight",
        "Pull of the student's embedding to the teacher's; keeps a space that later heads can use.",
    ),
    ("distil.clip_norm", "As in FunMatch."),
    ("distil.augment", "Teacher and student see the same view, so strong crops are safe."),
    (
        "distil.mixup",
        "Alpha of mixup, both see the same mixture; FunMatch takes 1 and hundreds of passes, short runs do without.",
    ),
    ("quantise", "int8 student: weights per output channel, activations per tensor."),
    (
        "quantise.n_calibration_images",
        "Training images that set the activation ranges; beyond a few hundred nothing moves.",
    ),
    (
        "quantise.percentile",
        "Share of magnitudes inside a range; the tail beyond it saturates. 100 is the plain maximum.",
    ),
    (
        "quantise.qat_epochs",
        "Passes of training in eight bits, against the teacher; 0 leaves it out. For students that lose more than 0.01.",
    ),
    ("quantise.learning_rate", "Near where distillation ended; the student has only the rounding to make up for."),
    ("quantise.warm_up", "Share of the steps in which the rate rises; then it falls along a half cosine to 0."),
];

/// The plan as TOML with a comment over each key.
pub(super) fn write(plan: &Plan) -> String {
    let plain = toml::to_string(plan).expect("a plan holds only numbers, strings and lists, which TOML can write");
    let mut out = String::from("# A plan for `remedis-train run`: everything that decides the result.\n\n");
    let mut section = String::new();
    for line in plain.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            out += &format!("# {}\n{line}\n", comment(name));
        } else if let Some((key, _)) = line.split_once(" = ") {
            out += &format!("# {}\n{line}\n", comment(&format!("{section}{key}")));
        } else {
            out += line;
            out.push('\n');
        }
    }
    out
}

fn comment(key: &str) -> &'static str {
    COMMENTS.iter().find(|(name, _)| *name == key).map_or("", |(_, text)| text)
}

/// Refuses the first key (in file order of sections) that no plan has, naming similar ones.
pub(super) fn refuse_unknown_keys(table: &toml::Table) -> Result<(), PlanError> {
    let keys = table.iter().flat_map(|(name, value)| {
        let inner =
            value.as_table().map(|table| table.keys().map(move |key| format!("{name}.{key}")).collect::<Vec<_>>());
        std::iter::once(name.clone()).chain(inner.unwrap_or_default())
    });
    for key in keys {
        if comment(&key).is_empty() {
            let hint = hint(&key);
            return Err(PlanError::UnknownKey { key, hint });
        }
    }
    Ok(())
}

/// Close spellings first; failing that, the keys of the same section.
fn hint(unknown: &str) -> String {
    let (section, leaf) = unknown.rsplit_once('.').unwrap_or(("", unknown));
    let mut close: Vec<_> = COMMENTS
        .iter()
        .filter_map(|(key, _)| {
            let (other, name) = key.rsplit_once('.').unwrap_or(("", key));
            let score = strsim::jaro_winkler(leaf, name) + if other == section { 0.1 } else { 0.0 };
            (score >= 0.95).then_some((score, *key))
        })
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0));
    if !close.is_empty() {
        let names: Vec<_> = close.iter().take(3).map(|(_, key)| *key).collect();
        return format!("similar keys are: {}", names.join(", "));
    }
    let siblings: Vec<_> = COMMENTS
        .iter()
        .map(|(key, _)| *key)
        .filter(|key| key.rsplit_once('.').map_or("", |(s, _)| s) == section)
        .collect();
    if siblings.is_empty() {
        "its sections are named in `remedis-train plan`".to_owned()
    } else {
        format!("keys there are: {}", siblings.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_plan_has_a_comment_and_every_comment_a_key() {
        let table = toml::Table::try_from(Plan::tiny()).unwrap();
        let mut keys: Vec<String> = Vec::new();
        for (name, value) in &table {
            keys.push(name.clone());
            keys.extend(value.as_table().into_iter().flat_map(|t| t.keys().map(move |key| format!("{name}.{key}"))));
        }
        keys.sort();
        let mut words: Vec<&str> = COMMENTS.iter().map(|(key, _)| *key).collect();
        words.sort_unstable();
        assert_eq!(keys, words);
    }

    #[test]
    fn a_key_like_no_other_gets_the_list_of_its_section() {
        assert_eq!(
            hint("quantise.zzz"),
            "keys there are: quantise.n_calibration_images, quantise.percentile, quantise.qat_epochs, \
             quantise.learning_rate, quantise.warm_up"
        );
    }
}
