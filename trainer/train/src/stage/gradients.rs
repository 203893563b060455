//! Loss and gradients of one step, whoever computes which share of the batch.
//!
//! One process with memory enough records one graph from images to loss. Otherwise the step is cut at the embedding: the embeddings
//! come first, the head judges them, and what it wants changed of each goes back through the backbone, a chunk of images or a
//! segment of the network at a time. The sum of gradients is the same; a segment's gradients travel between ranks while those of
//! the segment before are computed.
//!
//! Source of the cut: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", section 3.

use std::collections::VecDeque;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use remedis_model::{Backbone, Classifier};
use remedis_ranks::{Pending, Ranks};

use crate::checkpoint::floats;
use crate::precision::Precision;

/// What a forward and backward pass say of one batch.
pub(crate) struct Judged {
    /// This rank's part of the loss; the parts of all ranks add up to it.
    pub(crate) loss: f64,
    /// Of the whole batch, all ranks' shares included, times the loss scale.
    pub(crate) gradients: GradientsParams,
}

impl Judged {
    /// Of a loss whose graph is whole and belongs to this process alone; `scale` is the loss scale.
    pub(super) fn of<M: Module>(loss: Tensor<1>, network: &M, scale: f64) -> Self {
        let value = f64::from(floats(loss.clone())[0]);
        let loss = if scale == 1.0 { loss } else { loss.mul_scalar(scale) };
        Self { loss: value, gradients: GradientsParams::from_grads(loss.backward(), network) }
    }
}

/// A network that ends in a head on a backbone.
pub(super) trait Headed: Module {
    /// What maps images to embeddings.
    fn backbone(&self) -> &Backbone;
}

impl Headed for Classifier {
    fn backbone(&self) -> &Backbone {
        &self.backbone
    }
}

/// Which embeddings a head must see to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Those of this rank: the loss of an image does not depend on the others.
    Own,
    /// Those of all ranks: each rank's first half are first views, the second half the second views of the same images.
    AllPairs,
}

/// How one batch is computed.
#[derive(Clone, Copy)]
pub(crate) struct Share<'a> {
    pub(crate) ranks: &'a Ranks,
    /// Images that go through the backbone at once; 0 for all of them.
    pub(crate) at_once: usize,
    pub(crate) sight: Sight,
    /// With autodiff.
    pub(crate) device: &'a Device,
    pub(crate) precision: Precision,
    /// What the loss is multiplied with before the backward pass.
    pub(crate) loss_scale: f64,
}

/// Loss and gradients of this rank's images, and the sum over all ranks.
///
/// `head` gives the loss of embeddings, as a mean over what it sees.
///
/// # Shapes
/// - `x`: `[image, channel, height, width]`
pub(super) fn judge<M: Headed>(
    network: &M,
    x: Tensor<4>,
    share: &Share,
    head: impl FnOnce(&M, Tensor<2>) -> Tensor<1>,
) -> Judged {
    let images = x.dims()[0];
    let x = share.precision.of_images(x);
    let at_once = if share.at_once == 0 { images } else { share.at_once.min(images) };
    if at_once == images && !share.ranks.are_several() {
        let embedding = network.backbone().forward(x);
        return Judged::of(head(network, embedding), network, share.loss_scale);
    }
    let mut tapes = Vec::new();
    let chunks: Vec<Tensor<4>> = x.split(at_once, 0);
    let own: Vec<f32> = if let [x] = chunks.as_slice() {
        let tape = Tape::record(network.backbone(), x.clone());
        let embedding = floats(tape.embedding());
        tapes.push(tape);
        embedding
    } else {
        let plain = share.device.clone().without_autodiff();
        let backbone = network.backbone().valid();
        chunks.iter().flat_map(|x| floats(backbone.forward(x.clone().to_device(&plain)))).collect()
    };
    let seen = seen(own, images, share);
    let mut judged = judge_embeddings(network, seen, share, head);
    let upstream = own_rows(judged.upstream, images, share).split(at_once, 0);

    let mut total = GradientsAccumulator::new();
    let mut flights = Vec::new();
    if share.sight == Sight::Own && share.ranks.are_several() {
        flights.push(Flight::start(network, &mut judged.head, share.ranks));
    } else {
        total.accumulate(network, judged.head);
    }
    let travels = share.ranks.are_several() && chunks.len() == 1;
    let mut tapes = tapes.into_iter();
    for (x, upstream) in chunks.into_iter().zip(upstream) {
        let tape = tapes.next().unwrap_or_else(|| Tape::record(network.backbone(), x));
        tape.back(network.backbone(), upstream, share.device, |mut gradients| {
            if travels {
                flights.push(Flight::start(network, &mut gradients, share.ranks));
            } else {
                total.accumulate(network, gradients);
            }
        });
    }
    let mut gradients = total.grads();
    if share.ranks.are_several() && !travels {
        // The head's are the same on all ranks where it sees everything.
        let mut backbone = apart(network.backbone(), &mut gradients);
        flights.push(Flight::start(network, &mut backbone, share.ranks));
    }
    for flight in flights {
        flight.land(network, &mut gradients, share.device);
    }
    Judged { loss: judged.loss / share.ranks.count() as f64, gradients }
}

/// What the head says of embeddings.
struct HeadJudged {
    loss: f64,
    head: GradientsParams,
    /// Gradient of every embedding that the head saw.
    upstream: Tensor<2>,
}

fn judge_embeddings<M: Headed>(
    network: &M,
    seen: Tensor<2>,
    share: &Share,
    head: impl FnOnce(&M, Tensor<2>) -> Tensor<1>,
) -> HeadJudged {
    let seen = seen.require_grad();
    let loss = head(network, seen.clone());
    let value = f64::from(floats(loss.clone())[0]);
    // A mean over this rank's share counts as much as its share of all.
    let parts = if share.sight == Sight::Own { share.ranks.count() } else { 1 };
    let mut gradients = loss.div_scalar(parts as f64 / share.loss_scale).backward();
    let upstream = seen.grad_remove(&mut gradients).unwrap_or_else(|| seen.clone().inner().zeros_like());
    HeadJudged { loss: value, head: GradientsParams::from_grads(gradients, network), upstream }
}

/// The embeddings that the head sees, on the device with autodiff.
fn seen(own: Vec<f32>, images: usize, share: &Share) -> Tensor<2> {
    let width = own.len() / images;
    let values = match share.sight {
        Sight::Own => own,
        Sight::AllPairs => views_together(&share.ranks.gather(own), share.ranks.count(), images / 2 * width),
    };
    let rows = values.len() / width;
    Tensor::from_data(TensorData::new(values, [rows, width]), share.device)
}

/// From rank to rank the numbers of its first and of its second views, `half` of each: all first views, then all second ones.
fn views_together(gathered: &[f32], ranks: usize, half: usize) -> Vec<f32> {
    let view = |view: usize| (0..ranks).flat_map(move |rank| &gathered[(2 * rank + view) * half..][..half]);
    view(0).chain(view(1)).copied().collect()
}

/// The rows of this rank's own images.
fn own_rows(all: Tensor<2>, images: usize, share: &Share) -> Tensor<2> {
    match share.sight {
        Sight::Own => all,
        Sight::AllPairs => {
            let (half, ranks) = (images / 2, share.ranks);
            let view = |view: usize| all.clone().narrow(0, (view * ranks.count() + ranks.rank()) * half, half);
            Tensor::cat(vec![view(0), view(1)], 0)
        }
    }
}

/// A forward pass in segments, none of whose graphs reaches into another.
struct Tape {
    /// Input and output of each.
    segments: Vec<(Tensor<4>, Tensor<4>)>,
}

impl Tape {
    fn record(backbone: &Backbone, x: Tensor<4>) -> Self {
        let mut segments: Vec<(Tensor<4>, Tensor<4>)> = Vec::new();
        for number in 0..backbone.n_segments() {
            let input = match segments.last() {
                Some((_, output)) => output.clone().detach().require_grad(),
                None => x.clone(),
            };
            let output = backbone.segment(number, input.clone());
            segments.push((input, output));
        }
        Self { segments }
    }

    /// `[image, embedding]`
    fn embedding(&self) -> Tensor<2> {
        let (_, output) = self.segments.last().expect("a backbone has a segment");
        let [images, .., width] = output.dims();
        output.clone().reshape([images, width])
    }

    /// The backbone's gradients, last segment first, from that of the embedding.
    fn back(self, backbone: &Backbone, upstream: Tensor<2>, device: &Device, mut each: impl FnMut(GradientsParams)) {
        let [images, width] = upstream.dims();
        let mut upstream: Tensor<4> = upstream.reshape([images, 1, 1, width]);
        for (input, output) in self.segments.into_iter().rev() {
            // The gradient of this sum with respect to the output is `upstream`.
            let mut gradients = (output * upstream.clone().to_device(device)).sum().backward();
            if let Some(below) = input.grad_remove(&mut gradients) {
                upstream = below;
            }
            each(GradientsParams::from_grads(gradients, backbone));
        }
    }
}

/// The gradients of `part`, taken out of `gradients`.
fn apart<M: Module>(part: &M, gradients: &mut GradientsParams) -> GradientsParams {
    let mut taken = GradientsParams::new();
    part.visit(&mut Move { from: gradients, to: &mut taken });
    taken
}

struct Move<'a> {
    from: &'a mut GradientsParams,
    to: &'a mut GradientsParams,
}

impl ModuleVisitor for Move<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient);
        }
    }
}

/// Gradients on their way between the ranks: the long ones where they lie, the short ones of a segment in one message.
struct Flight {
    long: VecDeque<(ParamId, Pending)>,
    short: VecDeque<ParamId>,
    together: Pending,
}

/// Numbers from which a gradient is a message by itself: copying it costs more than another message.
const LONG: usize = 1 << 14;

impl Flight {
    fn start<M: Module>(network: &M, gradients: &mut GradientsParams, ranks: &Ranks) -> Self {
        let mut pack = Pack { gradients, ranks, long: VecDeque::new(), short: VecDeque::new(), together: Vec::new() };
        network.visit(&mut pack);
        Self { long: pack.long, short: pack.short, together: ranks.start_sum(pack.together) }
    }

    /// Waits for the sums and puts them into `gradients`.
    fn land<M: Module>(self, network: &M, gradients: &mut GradientsParams, device: &Device) {
        let (long, short, together) = (self.long, self.short, self.together.wait());
        let device = &device.clone().without_autodiff();
        network.visit(&mut Unpack { gradients, long, short, together: &together, device });
    }
}

struct Pack<'a> {
    gradients: &'a mut GradientsParams,
    ranks: &'a Ranks,
    long: VecDeque<(ParamId, Pending)>,
    short: VecDeque<ParamId>,
    together: Vec<f32>,
}

impl ModuleVisitor for Pack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let values = floats(gradient);
        if values.len() >= LONG {
            self.long.push_back((param.id, self.ranks.start_sum(values)));
        } else {
            self.short.push_back(param.id);
            self.together.extend(values);
        }
    }
}

/// Visits in the order of [`Pack`].
struct Unpack<'a> {
    gradients: &'a mut GradientsParams,
    long: VecDeque<(ParamId, Pending)>,
    short: VecDeque<ParamId>,
    together: &'a [f32],
    device: &'a Device,
}

impl ModuleVisitor for Unpack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.dims();
        let sum = if let Some((_, sum)) = self.long.pop_front_if(|(id, _)| *id == param.id) {
            sum.wait()
        } else if self.short.pop_front_if(|id| *id == param.id).is_some() {
            let (own, rest) = self.together.split_at(shape.iter().product());
            self.together = rest;
            own.to_vec()
        } else {
            return;
        };
        self.gradients.register(param.id, Tensor::<D>::from_data(TensorData::new(sum, shape), self.device));
    }
}

#[cfg(test)]
mod tests;
