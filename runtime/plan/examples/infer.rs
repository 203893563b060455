//! The smallest program that answers: `infer MODEL INPUT.npy RUNS [OUTPUT.npy]`, MODEL being a plan or a quantised ONNX file.
//!
//! For devices that bring their own pictures, and for counting what an answer costs where nothing else is in the program:
//! `tools/peers/arm-count.sh` runs it on emulated ARM beside other engines.
#![expect(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::path::Path;

use npyz::WriterBuilder;
use remedis_plan::{Engine, Plan, Shape, onnx};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, input, runs, output @ ..] = &arguments[..] else {
        return Err("usage: infer MODEL INPUT.npy RUNS [OUTPUT.npy]".into());
    };
    let file = std::fs::read(input)?;
    let file = npyz::NpyFile::new(file.as_slice())?;
    let &[1, channels, height, width] = file.shape() else {
        return Err(format!("{input} has shape {:?}, expected [1, channel, height, width]", file.shape()).into());
    };
    let shape = Shape { height: height as usize, width: width as usize, channels: channels as usize };
    let values = file.into_vec::<f32>()?;
    let plan = if Path::new(model).extension().is_some_and(|ending| ending == "onnx") {
        let bytes = std::fs::read(model)?;
        let reading = onnx::read(bytes.as_slice())?;
        Plan::compile_here(reading.whole().ok_or("the model is not wholly integer: see `remedis inspect`")?, &[shape])?
    } else {
        Plan::open(Path::new(model))?
    };
    let mut engine = Engine::new(plan, 1);
    let mut answer = vec![0.0; engine.plan().program().outputs[0].shape.volume()];
    for _ in 0..runs.parse::<usize>()? {
        engine.run(&[&values], &mut [&mut answer]);
    }
    let best = (0..answer.len()).max_by(|a, b| answer[*a].total_cmp(&answer[*b])).unwrap_or(0);
    println!("{:?}: class {best}, {}", engine.backend(), answer[best]);
    if let [output] = output {
        let file = std::io::BufWriter::new(std::fs::File::create(output)?);
        let shape = [1, answer.len() as u64];
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
        writer.extend(answer)?;
        writer.finish()?;
    }
    Ok(())
}
