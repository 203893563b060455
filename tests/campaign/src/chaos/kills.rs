//! SIGKILL at random moments, half of them during a start, while images come in over every input at once.

use super::Fate;
use super::books::Books;
use crate::{Outcome, Table};
use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use remedis_programs::{Yard, say, wait_until};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A kill comes this long at most after the device has started, where it does not come before.
const LONGEST_LIFE: Duration = Duration::from_millis(300);
/// Frames of the link for each kill, at most so many a second: they last as long as the kills do.
const FRAMES_A_KILL: f64 = 7.5;
const FRAMES_A_SECOND: &str = "20";
const FILE_EVERY: Duration = Duration::from_millis(150);
/// The journal is compared with what was acknowledged after so many kills.
const CHECK_EVERY: u32 = 20;

pub(super) fn run(yard: &Yard, n_kills: u32, seed: u64) -> Result<Outcome> {
    fs::create_dir(yard.at("inbox")).context("making the inbox")?;
    let n_frames = (f64::from(n_kills) * FRAMES_A_KILL) as usize;
    let (frames, kept) = (n_frames.to_string(), yard.at("acknowledged.jsonl").display().to_string());
    let arguments = ["--frames", &frames, "--rate", FRAMES_A_SECOND, "--first-frame", "1", "--journal", &kept];
    let (mut hardware, link) = yard.simulate(&arguments)?;
    let (mut camera, openmv) =
        yard.simulate(&["--openmv", "--frames", "1000000", "--rate", "20", "--timeout", "900"])?;
    yard.write_settings(&sections(&link, &openmv))?;
    let is_over = AtomicBool::new(false);
    let (n_files, mut kills) = std::thread::scope(|scope| -> Result<(usize, Kills)> {
        let files = scope.spawn(|| put_files(yard, &is_over));
        let kills = kill(yard, n_kills, seed);
        is_over.store(true, Ordering::SeqCst);
        let n_files = files.join().unwrap_or_else(|_panic| anyhow::bail!("putting files into the inbox failed"));
        Ok((n_files?, kills?))
    })?;
    let mut last = yard.start()?;
    let (summary, status) = hardware.output()?;
    ensure!(status.success(), "the hardware did not get every answer: {summary}");
    wait_until("every file is handed back", || yard.files("inbox").is_ok_and(|files| files.is_empty()))?;
    camera.kill()?;
    last.end()?;

    let (link, folder, n_live) = look(yard)?;
    let Kills { n_starting, broken } = &mut kills;
    let title = format!("chaos: {n_kills} SIGKILLs, {n_starting} of them before the device had started; seed {seed}");
    let mut table = Table::new(title, &Fate::COLUMNS);
    link.row(&mut table, "link", &frames);
    folder.row(&mut table, "folder", &n_files.to_string());
    table.row(&[&"openmv (live)", &"", &"", &n_live, &"", &""]);
    broken.extend(fates_broken(&link, &folder, "at the end"));
    if link.acknowledged != n_frames || link.journalled != n_frames {
        broken.push(format!("link: {} of {n_frames} frames were acknowledged", link.acknowledged));
    }
    if folder.acknowledged != n_files || folder.journalled != n_files {
        broken.push(format!("folder: {} of {n_files} files were handed back", folder.acknowledged));
    }
    if n_live == 0 {
        broken.push("openmv: no frame of the camera was judged".to_owned());
    }
    if *n_starting == 0 || *n_starting == n_kills {
        broken.push(format!("{n_starting} of {n_kills} kills came during a start; they prove nothing of the others"));
    }
    broken.extend(audit(yard)?);
    Ok(Outcome { tables: vec![table], broken: kills.broken })
}

fn sections(link: &str, openmv: &str) -> String {
    format!(
        "[models]\nfolder = 'models'\ntrial_starts = 1000000\n[link]\nport = {link:?}\nbaud = 921600\n[openmv]\nport = {openmv:?}\n[folder]\n\
         path = 'inbox'\nlook_every_s = 1\n[journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n[screen]\npng = 'screen.png'\n\
         width = 320\nheight = 240\n[health]\nheat_map_ms = 0\n"
    )
}

/// What the kills met.
#[derive(Default)]
struct Kills {
    /// Those that came before the device had started: while it recovers, opens its books or tries its model.
    n_starting: u32,
    broken: Vec<String>,
}

/// Starts and kills.
fn kill(yard: &Yard, n_kills: u32, seed: u64) -> Result<Kills> {
    let (mut rng, mut kills) = (ChaCha8Rng::seed_from_u64(seed), Kills::default());
    // The first start makes the books, which somebody reads; how long a start takes is learned of each that is let end.
    let mut start_takes = Duration::ZERO;
    for number in 1..=n_kills {
        let (spawned, mut running) = (Instant::now(), yard.start()?);
        let mut is_starting = number > 1 && rng.random_bool(0.5);
        if !is_starting {
            running.wait_for("started")?;
            start_takes = spawned.elapsed();
        }
        // The moment is random, so there is no event to wait for.
        let longest = if is_starting { start_takes } else { LONGEST_LIFE };
        std::thread::sleep(longest.mul_f64(rng.random()));
        running.kill()?;
        // One that was quicker than the last has said so, and says no more.
        is_starting = is_starting && running.wait_for("started").is_err();
        kills.n_starting += u32::from(is_starting);
        if number % CHECK_EVERY == 0 {
            let (link, folder, _) = look(yard)?;
            kills.broken.extend(fates_broken(&link, &folder, &format!("after kill {number}")));
        }
    }
    Ok(kills)
}

/// Puts a file into the inbox every now and then, until it is over: how many.
fn put_files(yard: &Yard, is_over: &AtomicBool) -> Result<usize> {
    let images: Vec<PathBuf> = yard.images("cells_a")?;
    let (beside, inbox) = (yard.at("unfinished"), yard.at("inbox"));
    let mut n_put = 0;
    while !is_over.load(Ordering::SeqCst) {
        fs::copy(&images[n_put % images.len()], &beside).context("copying an image")?;
        fs::rename(&beside, inbox.join(format!("{n_put:06}.png"))).context("putting an image into the inbox")?;
        n_put += 1;
        // Files come in their own rhythm.
        std::thread::sleep(FILE_EVERY);
    }
    Ok(n_put)
}

/// What became of the link's frames and of the folder's files, and how many live frames were judged.
fn look(yard: &Yard) -> Result<(Fate, Fate, usize)> {
    // What was told is read first: the device goes on meanwhile.
    let (acknowledged, done) = (yard.at("acknowledged.jsonl"), yard.files("inbox/done")?);
    let books = Books::read(yard, &yard.at("answers.sqlite"))?;
    Ok((books.of_link(&acknowledged)?, books.of_folder(&done)?, books.n_live()))
}

fn fates_broken(link: &Fate, folder: &Fate, when: &str) -> Vec<String> {
    [link.broken("link", when), folder.broken("folder", when)].into_iter().flatten().collect()
}

/// The chain verifies, and a line changed in the middle is named.
fn audit(yard: &Yard) -> Result<Vec<String>> {
    let mut broken = vec![];
    let said = yard.verify_audit();
    if said.code != Some(0) {
        broken.push(format!("the audit chain does not verify: {said:?}"));
    }
    let text = fs::read_to_string(yard.at("audit.log")).context("reading the audit log")?;
    let changed = text.replacen("started", "startet", 3).replacen("startet", "started", 2);
    fs::write(yard.at("changed.log"), changed).context("writing a changed audit log")?;
    let said = say(yard.remedis(), &[&"audit", &"verify", &yard.at("changed.log")]);
    if said.code != Some(1) || !said.out.contains("broken at line") {
        broken.push(format!("a changed line of the audit log is not named: {said:?}"));
    }
    Ok(broken)
}
