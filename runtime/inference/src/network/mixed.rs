//! Models of which some nodes have an integer kernel: those run as plans, each an operation of tract's, the others in tract.
//!
//! The pass finds islands of nodes that run in integers from beginning to end ([`remedis_plan::onnx`]). Here each is cut out of the
//! file and a node put in its place, which tract's parser does not know and hands to us. Shapes are known once tract has
//! worked them out; then the island is planned. What crosses its border is real, as the nodes inside say, so nothing rounds
//! that the file does not round.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use remedis_plan::onnx::{Axes, Reading};
use remedis_plan::{Graph, Plan, Shape};
use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::infer::{InferenceResult, Solver, TensorProxy};
use tract_onnx::tract_hir::internal::{Expansion, expand};

use super::integers::Integers;

/// Name and operator of the nodes that stand for islands.
const ISLAND: &str = "remedis.island";

/// The model of a file, with an operation of ours for every island.
pub(super) fn parse(onnx: &[u8], reading: Reading) -> TractResult<InferenceModel> {
    let framework = tract_onnx::onnx();
    let mut proto = framework.proto_model_for_read(&mut &*onnx)?;
    let file = proto.graph.as_mut().context("the file has no graph")?;
    let name = |number: usize| format!("{ISLAND}.{number}");
    cut(file, &reading, &name);
    let mut model = framework.model_for_proto_model(&proto)?;
    for (number, island) in reading.islands.into_iter().enumerate() {
        let node = model.node_id_by_name(&name(number))?;
        let (graph, axes) = (Arc::new(island.graph), island.axes);
        model.node_mut(node).op = expand(Island { graph, axes, plan: Arc::default() });
    }
    Ok(model)
}

/// Whether every island can be put into tract's graph.
pub(super) fn is_possible(reading: &Reading) -> bool {
    let mut axes = reading.islands.iter().flat_map(|island| &island.axes);
    !reading.islands.is_empty() && axes.all(|axes| *axes != Axes::Unknown)
}

/// Takes out what islands cover, and puts their nodes in.
fn cut(file: &mut pb::GraphProto, reading: &Reading, name: &dyn Fn(usize) -> String) {
    let covered: BTreeSet<usize> = reading.islands.iter().flat_map(|island| &island.covers).copied().collect();
    let nodes = std::mem::take(&mut file.node).into_iter().enumerate();
    file.node = nodes.filter(|(number, _)| !covered.contains(number)).map(|(_, node)| node).collect();
    for (number, island) in reading.islands.iter().enumerate() {
        file.node.push(pb::NodeProto {
            name: name(number),
            op_type: ISLAND.to_owned(),
            input: island.graph.inputs.clone(),
            output: island.graph.outputs.iter().map(|output| output.name.clone()).collect(),
            ..pb::NodeProto::default()
        });
    }
    // tract would keep what nobody reads until it optimises. Graphs inside nodes read by name too, and keep everything.
    let has_graphs = file.node.iter().flat_map(|node| &node.attribute).any(|attribute| attribute.g.is_some());
    if !has_graphs {
        let read: BTreeSet<&str> = file.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        let outputs: BTreeSet<&str> = file.output.iter().map(|output| output.name.as_str()).collect();
        file.initializer
            .retain(|constant| read.contains(constant.name.as_str()) || outputs.contains(constant.name.as_str()));
    }
}

/// An island whose shapes tract has not told yet.
#[derive(Clone, Debug)]
struct Island {
    graph: Arc<Graph>,
    /// By output.
    axes: Vec<Axes>,
    /// Asked for twice, made once: to know the shapes of the results, and to run.
    plan: Arc<Mutex<Option<Plan>>>,
}

impl Island {
    fn plan(&self, dims: &[Vec<usize>]) -> TractResult<Plan> {
        let shapes = dims.iter().map(|dims| shape(dims)).collect::<TractResult<Vec<Shape>>>()?;
        let mut made = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |plan: &&Plan| plan.program().inputs.iter().map(|input| input.shape).eq(shapes.iter().copied());
        if let Some(plan) = made.as_ref().filter(fits) {
            return Ok(plan.clone());
        }
        let plan = Plan::compile_here(&self.graph, &shapes)?;
        *made = Some(plan.clone());
        Ok(plan)
    }

    /// The dimensions of the outputs for inputs of those given.
    fn dims(&self, plan: &Plan, inputs: &[Vec<usize>]) -> TractResult<Vec<TVec<usize>>> {
        let program = plan.program();
        let dims = |(output, axes): (&remedis_plan::Output, &Axes)| {
            let Shape { height, width, channels } = output.shape;
            match axes {
                Axes::Flat => Ok(tvec![1, output.shape.volume()]),
                Axes::Picture => Ok(tvec![1, channels, height, width]),
                Axes::AsRead | Axes::Unknown => {
                    let same = program.inputs.iter().zip(inputs).filter(|(input, _)| input.shape == output.shape);
                    let same: BTreeSet<&[usize]> = same.map(|(_, dims)| dims.as_slice()).collect();
                    match same.into_iter().collect::<Vec<_>>()[..] {
                        [dims] => Ok(dims.into()),
                        ref found => bail!("a result of {:?} could have the axes of {found:?}", output.shape),
                    }
                }
            }
        };
        program.outputs.iter().zip(&self.axes).map(dims).collect()
    }
}

/// The picture of a tensor of one image.
fn shape(dims: &[usize]) -> TractResult<Shape> {
    match *dims {
        [1, channels] => Ok(Shape { height: 1, width: 1, channels }),
        [1, channels, height, width] => Ok(Shape { height, width, channels }),
        _ => bail!("layers in integers read [1, n] or [1, channel, height, width], found {dims:?}"),
    }
}

impl Expansion for Island {
    fn name(&self) -> StaticName {
        "Integers".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.graph.outputs.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        for tensor in inputs.iter().chain(outputs) {
            solver.equals(&tensor.datum_type, f32::datum_type())?;
        }
        solver.given_all(inputs.iter().map(|input| &input.shape), move |solver, shapes| {
            let shapes = shapes.iter().map(concrete).collect::<TractResult<Vec<_>>>()?;
            let dims = self.dims(&self.plan(&shapes)?, &shapes)?;
            for (output, dims) in outputs.iter().zip(dims) {
                let dims: TVec<TDim> = dims.into_iter().map(TDim::from).collect();
                solver.equals(&output.shape, dims)?;
            }
            Ok(())
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let dims = |input: &OutletId| concrete(&model.outlet_fact(*input)?.shape.to_tvec());
        let shapes = inputs.iter().map(dims).collect::<TractResult<Vec<_>>>()?;
        let plan = self.plan(&shapes)?;
        let facts = self.dims(&plan, &shapes)?.into_iter().map(f32::fact).collect();
        model.wire_node(prefix, Planned { integers: Arc::new(Integers::new(plan)), facts }, inputs)
    }
}

fn concrete(dims: &TVec<TDim>) -> TractResult<Vec<usize>> {
    dims.iter().map(|size| Ok(size.to_usize()?)).collect()
}

/// An island, planned: an operation of tract's.
#[derive(Clone, Debug)]
struct Planned {
    integers: Arc<Integers>,
    facts: TVec<TypedFact>,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.integers, &other.integers)
    }
}

impl Eq for Planned {}

impl Op for Planned {
    fn name(&self) -> StaticName {
        "Integers".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Planned {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let inputs = inputs.iter().map(|input| input.try_as_plain_ram()?.as_slice::<f32>());
        let outputs = self.integers.run(&inputs.collect::<TractResult<Vec<_>>>()?);
        let tensor = |(fact, values): (&TypedFact, Vec<f32>)| {
            let dims = fact.shape.as_concrete().context("a plan knows its shapes")?;
            Ok(Tensor::from_shape(dims, &values)?.into())
        };
        self.facts.iter().zip(outputs).map(tensor).collect()
    }
}

impl TypedOp for Planned {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.clone())
    }

    as_op!();
}
