//! The smallest program that answers: `infer MODEL INPUT.npy RUNS [OUTPUT.npy]`, MODEL being a plan or a quantised ONNX file.
//!
//! For devices that bring their own pictures, and for counting what an answer costs where nothing else is in the program:
//! `tools/peers/arm-count.sh` runs it on emulated ARM beside other engines. Says how long it took to open the model and to give the
//! first answer, in wall time, and the largest memory that the process had.
#![expect(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

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
    let start = Instant::now();
    let plan = if Path::new(model).extension().is_some_and(|ending| ending == "onnx") {
        let bytes = std::fs::read(model)?;
        let reading = onnx::read(bytes.as_slice())?;
        Plan::compile_here(reading.whole().ok_or("the model is not wholly integer: see `remedis inspect`")?, &[shape])?
    } else {
        Plan::open(Path::new(model))?
    };
    let mut engine = Engine::new(plan, 1);
    let open = start.elapsed();
    let mut answer = vec![0.0; engine.plan().program().outputs[0].shape.volume()];
    let mut first = None;
    for _ in 0..runs.parse::<usize>()? {
        engine.run(&[&values], &mut [&mut answer]);
        first.get_or_insert_with(|| start.elapsed());
    }
    let best = (0..answer.len()).max_by(|a, b| answer[*a].total_cmp(&answer[*b])).unwrap_or(0);
    println!("{}: class {best}, {}", engine.backend().name(), answer[best]);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("open {:.2} ms, with the first answer {:.2} ms", ms(open), ms(first.unwrap_or(open)));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown");
    println!("peak memory of the process {}", peak.trim());
    if let [output] = output {
        let file = std::io::BufWriter::new(std::fs::File::create(output)?);
        let shape = [1, answer.len() as u64];
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
        writer.extend(answer)?;
        writer.finish()?;
    }
    Ok(())
}
