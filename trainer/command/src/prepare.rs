//! `remedis-train prepare`: an image set decoded and resized once, for later runs to read at the speed of memory.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use remedis_data::{Geometry, Index, Prepared, WriteShardsError, write_shards};
use remedis_imaging::{Channels, Depth, Resize};
use remedis_train::storage::{WriteError, size};
use serde_json::json;

use crate::arguments::{ChannelsName, PrepareArguments};
use crate::progress::{Progress, tell};
use crate::run::sets::set_name;
use crate::run::{Outcome, folder, set_threads};
use crate::stop;

/// `remedis-train prepare`.
pub(crate) fn run(asked: &PrepareArguments) -> Result<Outcome> {
    if asked.depth == Depth::Sixteen && asked.channels != ChannelsName::Grey {
        bail!("--depth is 16 with --channels rgb, expected 8 for colour images; 16 is for --channels grey");
    }
    set_threads(asked.threads)?;
    let stop = stop::on_signals()?;
    let index = Index::open(&asked.data).with_context(|| format!("--data {}", asked.data.display()))?;
    let out = &asked.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot write to {}; choose another --out", out.display()))?;
    let _lock = folder::lock(out)?;
    remedis_bundle::remove_unfinished(out).with_context(|| format!("tidying {}", out.display()))?;
    let (name, geometry, total) = (set_name(&asked.data), asked.geometry(), index.rows.len());
    let mut progress = Progress::spoken(vec!["prepare".to_owned()])?;
    progress.begin("prepare");
    let began = Instant::now();
    let made = write_shards(&index, &name, &geometry, out, &mut |through| {
        progress.count(through, total);
        !stop.load(Ordering::SeqCst)
    });
    progress.close(made.is_ok())?;
    match made {
        Ok(made) => {
            speak(asked, &made, began.elapsed().as_secs_f64());
            Ok(Outcome::Done)
        }
        Err(stopped @ WriteShardsError::Stopped { .. }) => {
            tell(&stopped.to_string());
            Ok(Outcome::Interrupted)
        }
        Err(WriteShardsError::Write { file, bytes, source }) => {
            Err(WriteError::new(out.join(file).display().to_string(), out, bytes, source).into())
        }
        Err(error) => Err(error).with_context(|| format!("preparing {} in {}", asked.data.display(), out.display())),
    }
}

impl PrepareArguments {
    /// The input that a plan with this size and these channels has.
    fn geometry(&self) -> Geometry {
        let channels = match self.channels {
            ChannelsName::Rgb => Channels::Rgb,
            ChannelsName::Grey => Channels::Grey,
        };
        let (side, depth_bits) = (self.size.into(), self.depth);
        Geometry { width: side, height: side, channels, depth_bits, resize: Resize::CentreCrop }
    }
}

fn speak(asked: &PrepareArguments, made: &Prepared, seconds: f64) {
    let rate = made.n_images as f64 / seconds;
    if asked.json {
        println!(
            "{}",
            json!({
                "out": asked.out,
                "n_images": made.n_images,
                "n_bad": made.n_bad,
                "n_files": made.n_files,
                "n_files_kept": made.n_kept,
                "bytes": made.bytes,
                "seconds": seconds,
                "images_per_second": rate,
            })
        );
    } else {
        print!("{}", text(&asked.out, &asked.geometry(), made, rate));
    }
}

fn text(out: &Path, geometry: &Geometry, made: &Prepared, rate: f64) -> String {
    let out = out.display();
    let mut text = format!(
        "{out}: {} images in {} files of {} together, for {geometry}; {rate:.0} images/s\n",
        made.n_images,
        made.n_files,
        size(made.bytes)
    );
    if made.n_kept > 0 {
        text +=
            &format!("kept from before, having checked them: {} images in {} files\n", made.n_images_kept, made.n_kept);
    }
    if made.n_bad > 0 {
        text += &format!(
            "files that cannot be used: {}; a run lists them in quarantine.jsonl, as it does for the set itself\n",
            made.n_bad
        );
    }
    text + &format!("next: name {out} instead of the set: same labels, splits and results\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_said_with_its_size_and_speed() {
        let geometry = Geometry {
            width: 64,
            height: 64,
            channels: Channels::Grey,
            depth_bits: Depth::Eight,
            resize: Resize::CentreCrop,
        };
        let made = Prepared { n_images: 900, n_bad: 2, n_files: 3, n_kept: 1, n_images_kept: 300, bytes: 5_000_000 };
        assert_eq!(
            text(Path::new("shards"), &geometry, &made, 1234.5),
            "shards: 900 images in 3 files of 5.0 MB together, for 64 x 64 pixels, grey, cropped to the centre; 1234 images/s\n\
             kept from before, having checked them: 300 images in 1 files\n\
             files that cannot be used: 2; a run lists them in quarantine.jsonl, as it does for the set itself\n\
             next: name shards instead of the set: same labels, splits and results\n"
        );
    }
}
