//! What others call the tensors of our networks, and how they lay them out.

use std::collections::BTreeSet;

use crate::inverted_residual::Convention;

/// Whose names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
    /// Ours: as a network lists its [`Weights`](crate::Weights), which is how checkpoints are written.
    Ours,
    /// BiT's published `.npz` files; kernels are `[height, width, in, out]`.
    /// Source: google-research/big_transfer, `bit_pytorch/models.py`, `load_from`.
    Bit,
    /// BiT's PyTorch networks when they are saved. Source: the same file.
    BitPytorch,
    /// BiT in huggingface/pytorch-image-models, `resnetv2.py`.
    BitTimm,
    /// <https://github.com/lukemelas/EfficientNet-PyTorch>, `model.py`; its networks pad as TensorFlow's.
    EfficientNetPytorch,
    /// torchvision's ResNets of basic blocks, `resnet.py`.
    TorchvisionResNet,
    /// torchvision's MobileNetV2, `mobilenetv2.py`.
    TorchvisionMobileNet,
}

/// How a tensor lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As ours.
    Same,
    /// A kernel, `[height, width, in, out]`.
    Hwio,
    /// A matrix, `[out, in]`.
    OutIn,
    /// A matrix as a kernel of one pixel, `[1, 1, in, out]`.
    PointInOut,
    /// A matrix as a kernel of one pixel, `[out, in, 1, 1]`.
    OutInPoint,
}

/// Names of a classifier's biases in any file.
pub(super) const HEAD_BIASES: [&str; 8] = [
    "head.bias",
    "head.linear.bias",
    "resnet/head/conv2d/bias",
    "head.conv.bias",
    "head.fc.bias",
    "fc.bias",
    "_fc.bias",
    "classifier.1.bias",
];

impl Naming {
    pub(super) const ALL: [Self; 7] = [
        Self::Ours,
        Self::Bit,
        Self::BitPytorch,
        Self::BitTimm,
        Self::EfficientNetPytorch,
        Self::TorchvisionResNet,
        Self::TorchvisionMobileNet,
    ];

    /// The file's name for our tensor `own` and how it lies there, or `None` if no network of that kind has such a tensor.
    /// `all` are all of our names.
    pub(super) fn place(self, own: &str, all: &BTreeSet<&str>) -> Option<(String, Layout)> {
        if self == Self::Ours {
            return Some((own.to_owned(), Layout::Same));
        }
        let parts = &from_root(own)?[..];
        if let ["head", .., leaf] = parts {
            return self.head(leaf);
        }
        let name = match self {
            Self::Ours => None,
            Self::Bit => bit(parts),
            Self::BitPytorch => bit_pytorch(parts),
            Self::BitTimm => bit_timm(parts),
            Self::EfficientNetPytorch => efficientnet_pytorch(parts),
            Self::TorchvisionResNet => torchvision_resnet(parts),
            Self::TorchvisionMobileNet => torchvision_mobilenet(parts, all),
        }?;
        let layout = if self == Self::Bit && name.ends_with("/kernel") { Layout::Hwio } else { Layout::Same };
        Some((name, layout))
    }

    /// The classifier's `weight` or `bias`.
    fn head(self, leaf: &str) -> Option<(String, Layout)> {
        let (module, layout) = match self {
            Self::Ours => return None,
            Self::Bit if leaf == "weight" => return Some(("resnet/head/conv2d/kernel".to_owned(), Layout::PointInOut)),
            Self::Bit => return Some((format!("resnet/head/conv2d/{leaf}"), Layout::Same)),
            Self::BitPytorch => ("head.conv", Layout::OutInPoint),
            Self::BitTimm => ("head.fc", Layout::OutInPoint),
            Self::EfficientNetPytorch => ("_fc", Layout::OutIn),
            Self::TorchvisionResNet => ("fc", Layout::OutIn),
            Self::TorchvisionMobileNet => ("classifier.1", Layout::OutIn),
        };
        Some((format!("{module}.{leaf}"), if leaf == "weight" { layout } else { Layout::Same }))
    }

    /// Whether a tensor of the file is passed over: a counter of batches, which decides nothing, or a head that is not taken.
    pub(super) fn is_beside(self, name: &str, takes_head: bool) -> bool {
        let is_their_head = || match self {
            Self::Ours => is_head(name),
            _ => ["weight", "bias"].iter().any(|leaf| self.head(leaf).is_some_and(|(head, _)| head == name)),
        };
        name.ends_with(".num_batches_tracked") || (!takes_head && is_their_head())
    }

    /// How networks with these names pad and normalise, where it matters.
    pub(super) fn convention(self) -> Option<Convention> {
        match self {
            Self::EfficientNetPytorch => Some(Convention::Tensorflow),
            Self::TorchvisionMobileNet => Some(Convention::Pytorch),
            _ => None,
        }
    }

    /// For a message.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Ours => "this trainer",
            Self::Bit | Self::BitPytorch => "BiT",
            Self::BitTimm => "timm's BiT",
            Self::EfficientNetPytorch => "EfficientNet-PyTorch",
            Self::TorchvisionResNet => "torchvision's ResNet",
            Self::TorchvisionMobileNet => "torchvision's MobileNetV2",
        }
    }
}

/// Whether our tensor `own` is a classifier's.
pub(super) fn is_head(own: &str) -> bool {
    from_root(own).is_some_and(|parts| parts[0] == "head")
}

/// The parts of one of our names from the network's own modules on, whatever the network lies in.
fn from_root(own: &str) -> Option<Vec<&str>> {
    let is_root = |part: &&str| match part.trim_end_matches(['1', '2', '3', '4']) {
        "block" | "group" => part.len() == 6,
        whole => ["stem", "blocks", "top", "group_norm", "head"].contains(&whole),
    };
    let parts: Vec<&str> = own.split('.').collect();
    let root = parts.iter().position(is_root)?;
    Some(parts[root..].to_vec())
}

/// What stands before `end` in `name`, if it ends so where a part of a name begins.
pub(super) fn prefix<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    name.strip_suffix(end).filter(|prefix| prefix.is_empty() || prefix.ends_with(['.', '/']))
}

/// A unit's number as BiT counts: from 1.
fn unit(index: &str) -> Option<usize> {
    Some(index.parse::<usize>().ok()? + 1)
}

fn bit(parts: &[&str]) -> Option<String> {
    Some(match parts {
        ["stem", "weight"] => "resnet/root_block/standardized_conv2d/kernel".to_owned(),
        ["group_norm", leaf] => format!("resnet/group_norm/{leaf}"),
        [block, i, "projection", "weight"] => {
            format!("resnet/{block}/unit{:02}/a/proj/standardized_conv2d/kernel", unit(i)?)
        }
        [block, i, part, "conv", "weight"] => {
            format!("resnet/{block}/unit{:02}/{part}/standardized_conv2d/kernel", unit(i)?)
        }
        [block, i, part, "group_norm", leaf] => format!("resnet/{block}/unit{:02}/{part}/group_norm/{leaf}", unit(i)?),
        _ => return None,
    })
}

/// PyTorch's word for a tensor of a normalisation.
fn norm_leaf(own: &str) -> &str {
    match own {
        "gamma" => "weight",
        "beta" => "bias",
        statistic => statistic,
    }
}

/// 1 to 3 for the three convolutions of a unit.
fn third(part: &str) -> Option<usize> {
    ["a", "b", "c"].iter().position(|name| *name == part).map(|position| position + 1)
}

fn bit_pytorch(parts: &[&str]) -> Option<String> {
    Some(match parts {
        ["stem", "weight"] => "root.conv.weight".to_owned(),
        ["group_norm", leaf] => format!("head.gn.{}", norm_leaf(leaf)),
        [block, i, "projection", "weight"] => format!("body.{block}.unit{:02}.downsample.weight", unit(i)?),
        [block, i, part, "conv", "weight"] => format!("body.{block}.unit{:02}.conv{}.weight", unit(i)?, third(part)?),
        [block, i, part, "group_norm", leaf] => {
            format!("body.{block}.unit{:02}.gn{}.{}", unit(i)?, third(part)?, norm_leaf(leaf))
        }
        _ => return None,
    })
}

fn bit_timm(parts: &[&str]) -> Option<String> {
    let block = |name: &str| Some(name.strip_prefix("block")?.parse::<usize>().ok()? - 1);
    Some(match parts {
        ["stem", "weight"] => "stem.conv.weight".to_owned(),
        ["group_norm", leaf] => format!("norm.{}", norm_leaf(leaf)),
        [name, i, "projection", "weight"] => format!("stages.{}.blocks.{i}.downsample.conv.weight", block(name)?),
        [name, i, part, "conv", "weight"] => format!("stages.{}.blocks.{i}.conv{}.weight", block(name)?, third(part)?),
        [name, i, part, "group_norm", leaf] => {
            format!("stages.{}.blocks.{i}.norm{}.{}", block(name)?, third(part)?, norm_leaf(leaf))
        }
        _ => return None,
    })
}

fn efficientnet_pytorch(parts: &[&str]) -> Option<String> {
    let (block, part, rest) = match parts {
        ["blocks", i, part, rest @ ..] => (format!("_blocks.{i}."), *part, rest),
        [part, rest @ ..] => (String::new(), *part, rest),
        [] => return None,
    };
    let (conv, norm) = match part {
        "stem" => ("_conv_stem", "_bn0"),
        "expand" => ("_expand_conv", "_bn0"),
        "depthwise" => ("_depthwise_conv", "_bn1"),
        "project" => ("_project_conv", "_bn2"),
        "top" => ("_conv_head", "_bn1"),
        _ => return None,
    };
    conv_norm(&format!("{block}{conv}"), &format!("{block}{norm}"), rest)
}

fn torchvision_resnet(parts: &[&str]) -> Option<String> {
    match parts {
        ["stem", rest @ ..] => conv_norm("conv1", "bn1", rest),
        [group, i, part, rest @ ..] => {
            let block = format!("layer{}.{i}", group.strip_prefix("group")?);
            let (conv, norm) = match *part {
                "a" => ("conv1", "bn1"),
                "b" => ("conv2", "bn2"),
                "shortcut" => ("downsample.0", "downsample.1"),
                _ => return None,
            };
            conv_norm(&format!("{block}.{conv}"), &format!("{block}.{norm}"), rest)
        }
        _ => None,
    }
}

/// Blocks without an expansion count their parts from its place.
fn torchvision_mobilenet(parts: &[&str], all: &BTreeSet<&str>) -> Option<String> {
    let has = |i: usize, part: &str| {
        let end = format!("blocks.{i}.{part}.weight");
        all.iter().any(|own| own.ends_with(&end))
    };
    match parts {
        ["stem", rest @ ..] => conv_norm("features.0.0", "features.0.1", rest),
        ["top", rest @ ..] => {
            let n_blocks = (0..).find(|&i| !has(i, "project"))?;
            conv_norm(&format!("features.{}.0", n_blocks + 1), &format!("features.{}.1", n_blocks + 1), rest)
        }
        ["blocks", i, part, rest @ ..] => {
            let i: usize = i.parse().ok()?;
            let (block, expansions) = (format!("features.{}.conv", i + 1), usize::from(has(i, "expand")));
            let position = match *part {
                "expand" => 0,
                "depthwise" => expansions,
                "project" => {
                    let position = expansions + 1;
                    return conv_norm(&format!("{block}.{position}"), &format!("{block}.{}", position + 1), rest);
                }
                _ => return None,
            };
            conv_norm(&format!("{block}.{position}.0"), &format!("{block}.{position}.1"), rest)
        }
        _ => None,
    }
}

/// The kernel of `conv`, or a tensor of the batch normalisation `norm` after it.
fn conv_norm(conv: &str, norm: &str, rest: &[&str]) -> Option<String> {
    match rest {
        ["weight"] => Some(format!("{conv}.weight")),
        ["norm", leaf] => Some(format!("{norm}.{}", norm_leaf(leaf))),
        _ => None,
    }
}
