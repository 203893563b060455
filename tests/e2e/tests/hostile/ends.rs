//! How a device ends, and what it leaves behind: word of it on its screen and in the audit log, and no result that could be taken for a
//! new one.

use crate::lies::{GREY, png};
use crate::place::{Place, in_time};
use anyhow::{Context, Result, ensure};
use remedis_programs::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OUT_OF_MEMORY: &str = "remedis_alarm{alarm=\"out_of_memory\"}";

#[test]
fn memory_that_runs_out_is_shown_and_written_down_and_everybody_is_served_after_the_next_start() -> Result<()> {
    let Some(mut place) = Place::start()? else { return Ok(()) };
    let _hardware = place.hardware()?;
    place.serves_everybody("the start")?;
    // As the kernel ends it: without a word.
    if let Some(group) = Group::around(&place.device, 4 << 20)? {
        place.put("large.png", &png(4_000, 4_000, GREY, 16))?;
        let (_, status) = place.device.output()?;
        ensure!(!status.success(), "it was ended: {status}");
        drop(group);
    } else {
        println!("ended by SIGKILL: nobody can be given less memory here");
        place.device.kill()?;
    }
    let left = page(&place)?;
    end_of(&place, "oom-kill")?;
    ensure!(page(&place)? != left, "the system has said so on the screen");

    place.start_again()?;
    in_time("the end in the audit log", || {
        place.audited("stopped").is_ok_and(|ends| ends.iter().any(|end| end["reason"] == "oom-kill"))
    })?;
    let visitor = place.log_in()?;
    ensure!(place.metric(&visitor, OUT_OF_MEMORY)? == 1.0, "people see why it was started again");
    place.serves_everybody("running out of memory")?;
    place.end()
}

#[test]
fn a_device_that_ends_leaves_no_result_on_its_screen() -> Result<()> {
    let Some(mut place) = Place::start()? else { return Ok(()) };
    place.serves_folder("the start")?;
    let result = page(&place)?;
    place.device.end()?;
    let last = page(&place)?;
    ensure!(last != result, "the last page tells that it has ended");
    // It has said so itself, so there is nothing to add.
    end_of(&place, "success")?;
    ensure!(page(&place)? == last && !place.yard.at("audit.log.waiting").exists(), "nothing is added");

    // A start that fails leaves a page of its own.
    let log = fs::read_to_string(place.yard.at("audit.log"))?;
    fs::write(place.yard.at("audit.log"), log.replacen("started", "stopped", 1))?;
    let (_, status) = place.yard.start()?.output()?;
    ensure!(status.code() == Some(2), "it does not start with a log that somebody changed: {status}");
    ensure!(page(&place)? != last, "and says so on the screen");
    fs::write(place.yard.at("audit.log"), log)?;
    place.start_again()?;
    place.serves_folder("its return")?;
    place.end()
}

/// What systemd does after the device's end.
fn end_of(place: &Place, result: &str) -> Result<()> {
    let mut stopped = Command::new(place.yard.device());
    let output = stopped.arg("stopped").arg(place.yard.at("device.toml")).env("SERVICE_RESULT", result).output()?;
    ensure!(output.status.success(), "word is left of it: {output:?}");
    Ok(())
}

fn page(place: &Place) -> Result<Vec<u8>> {
    fs::read(place.yard.at("screen/page.png")).context("reading the page")
}

/// Processes that may take so much more memory than they have now.
struct Group(PathBuf);

impl Group {
    /// `None` where this user may make none.
    fn around(process: &Process, bytes: u64) -> Result<Option<Self>> {
        let name = format!("remedis-test-{}", process.id());
        for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let group = Self(Path::new(root).join(&name));
            if fs::create_dir(&group.0).is_ok() && fs::write(group.0.join(limit), bytes.to_string()).is_ok() {
                fs::write(group.0.join("cgroup.procs"), process.id().to_string()).context("limiting its memory")?;
                return Ok(Some(group));
            }
        }
        Ok(None)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // One that could not be made is not there.
        let _none = fs::remove_dir(&self.0);
    }
}
