//! The device at work for long: images over link and folder at once, as fast as it takes them, with pauses and restarts.
//!
//! Told: memory now and then, the latency of every stage, how long a result is shown as current after its source fell silent, and
//! what a restart costs until the first answer.

mod folder;
mod page;

use crate::{Outcome, Scale, Table};
use anyhow::{Context, Result, ensure};
use folder::Feeder;
use page::Watched;
use remedis_programs::{Process, Yard, wait_until};
use std::fs;
use std::time::{Duration, Instant};

/// Results older than this are marked; short, so that the pauses are.
const STALE_AFTER: Duration = Duration::from_secs(2);
/// What is promised: the mark is there so long after that.
const MARK_WITHIN: Duration = Duration::from_secs(1);
const RESTART_WITHIN: Duration = Duration::from_secs(2);
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How many images, and when what happens.
struct Course {
    n_images: u64,
    /// The first restart comes after so many, the second as long before the end.
    n_around_restarts: u64,
    /// Memory is first read so many images after the first restart.
    n_before_memory: u64,
    n_pauses: u64,
    /// Memory at the end is at most so many times what it was then; in the quick form caches still fill, but no image may stay.
    growth: f64,
    /// A test on a busy machine is not to be timed; a campaign is.
    patience: u32,
}

impl Course {
    fn of(scale: Scale) -> Self {
        match scale {
            Scale::Small => Self {
                n_images: 1600,
                n_around_restarts: 200,
                n_before_memory: 400,
                n_pauses: 1,
                growth: 1.3,
                patience: 10,
            },
            Scale::Full => Self {
                n_images: 50_000,
                n_around_restarts: 1000,
                n_before_memory: 1000,
                n_pauses: 10,
                growth: 1.05,
                patience: 1,
            },
        }
    }
}

/// Runs it.
///
/// # Errors
/// When the programs are not built, or something around the device fails.
pub fn run(scale: Scale, _seed: u64) -> Result<Outcome> {
    let yard = Yard::find()?.context("a built device and a tiny run are needed (see above)")?;
    Soak::begin(&yard, Course::of(scale))?.run()
}

/// The device and what is around it, with what was seen so far.
struct Soak<'a> {
    yard: &'a Yard,
    course: Course,
    device: Process,
    hardware: Process,
    feeder: Feeder,
    watched: Watched,
    start: Instant,
    said: Instant,
    restarts: Vec<(u64, Duration)>,
    memory: Vec<(u64, u64)>,
    marks: Vec<(Duration, Duration)>,
}

impl<'a> Soak<'a> {
    fn begin(yard: &'a Yard, course: Course) -> Result<Self> {
        let token = yard.token()?;
        fs::create_dir(yard.at("inbox")).context("making the inbox")?;
        let frames = (course.n_images / 2).to_string();
        let kept = yard.at("acknowledged.jsonl").display().to_string();
        let (hardware, link) =
            yard.simulate(&["--frames", &frames, "--first-frame", "1", "--journal", &kept, "--timeout", "600"])?;
        yard.write_settings(&format!(
            "[link]\nport = {link:?}\nbaud = 921600\n[folder]\npath = 'inbox'\nlook_every_s = 1\n[journal]\nanswers = 'answers.sqlite'\n\
             audit = 'audit.log'\n[screen]\npng = 'screen.png'\nwidth = 320\nheight = 240\n[web]\naddress = '127.0.0.1:0'\ntoken = \
             'web.token'\n[health]\nstale_after_s = {}\nheat_map_ms = 20\n",
            STALE_AFTER.as_secs()
        ))?;
        let device = yard.start()?;
        let watched = Watched::open(yard, &device, &token)?;
        let feeder = Feeder::start(yard, course.n_images - course.n_images / 2)?;
        let now = Instant::now();
        Ok(Self {
            yard,
            course,
            device,
            hardware,
            feeder,
            watched,
            start: now,
            said: now,
            restarts: vec![],
            memory: vec![],
            marks: vec![],
        })
    }

    fn run(mut self) -> Result<Outcome> {
        let Course { n_images, n_around_restarts, n_before_memory, n_pauses, .. } = self.course;
        self.go_on_to(n_around_restarts)?;
        self.restart()?;
        let first = n_around_restarts + n_before_memory;
        self.go_on_to(first)?;
        self.weigh()?;
        let last = n_images - n_around_restarts;
        for pause in 1..=n_pauses {
            self.go_on_to(first + (last - first) * pause / n_pauses)?;
            self.weigh()?;
            self.pause()?;
        }
        let stages = self.watched.stages()?;
        self.restart()?;
        self.go_on_to(n_images)?;
        let seconds = self.start.elapsed().as_secs_f64();
        let (summary, status) = self.hardware.output()?;
        ensure!(status.success(), "the hardware did not get every answer: {summary}");
        self.device.end()?;
        let n_kept = self.yard.journal(&self.yard.at("answers.sqlite"))?.len() as u64;
        let mut broken = self.broken();
        if n_kept != n_images {
            broken.push(format!("soak: {n_kept} answers to {n_images} images"));
        }
        let mut latency =
            Table::new("soak: latency of a stage, in milliseconds", &["stage", "images", "of", "p50", "p99", "p99.9"]);
        for stage in stages {
            latency.row(&[&stage.name, &stage.n_recent, &stage.n, &stage.ms[0], &stage.ms[1], &stage.ms[2]]);
        }
        Ok(Outcome { tables: vec![self.table(seconds), latency], broken })
    }

    /// Waits until so many images were answered.
    fn go_on_to(&mut self, n: u64) -> Result<()> {
        let mut last = (0, Instant::now());
        loop {
            let answered = self.watched.n_answers()?;
            if answered >= n {
                return Ok(());
            }
            if answered > last.0 {
                last = (answered, Instant::now());
            }
            ensure!(last.1.elapsed() < Duration::from_secs(120), "the device stopped at {answered} answers");
            if self.said.elapsed() > SAY_EVERY {
                self.said = Instant::now();
                let (done, took) = (answered as f64 / self.course.n_images as f64, self.start.elapsed().as_secs_f64());
                let left_s = took / done - took;
                eprintln!(
                    "{answered} of {} images, {:.0} a second, {left_s:.0} s left",
                    self.course.n_images,
                    answered as f64 / took
                );
            }
            // Another process's counter has no event here, and the page takes 20 requests a second.
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn weigh(&mut self) -> Result<()> {
        self.memory.push((self.watched.n_answers()?, self.device.memory("VmRSS")?));
        Ok(())
    }

    /// Ends the device in the middle and starts it again: how long until another answer is told.
    fn restart(&mut self) -> Result<()> {
        let n_answers = self.watched.n_answers()?;
        self.device.end()?;
        let (before, start) = (self.told(), Instant::now());
        self.device = self.yard.start()?;
        wait_until("an answer after a restart", || self.told() != before)?;
        self.restarts.push((n_answers, start.elapsed()));
        self.watched = self.watched.again(&self.device)?;
        Ok(())
    }

    /// Bytes that the hardware wrote down, and files that were handed back: either is an answer told.
    fn told(&self) -> (u64, u64) {
        let written = fs::metadata(self.yard.at("acknowledged.jsonl")).map_or(0, |found| found.len());
        (written, self.feeder.n_handed_back())
    }

    /// Lets both inputs fall silent: how old the newest result was when screen and web page marked it.
    fn pause(&mut self) -> Result<()> {
        self.hardware.signal("STOP")?;
        self.feeder.pause(true);
        let marked = self.watched.marks(STALE_AFTER + MARK_WITHIN * self.course.patience * 2)?;
        self.marks.push(marked);
        self.feeder.pause(false);
        self.hardware.signal("CONT")
    }

    fn broken(&self) -> Vec<String> {
        let mut broken = vec![];
        let Course { patience, growth, .. } = self.course;
        for (n, took) in self.restarts.iter().filter(|(_, took)| *took > RESTART_WITHIN * patience) {
            broken.push(format!("soak: a restart with {n} answers kept took {took:?} to the first answer"));
        }
        for age in self.marks.iter().flat_map(|&(screen, web)| [screen, web]) {
            if age > STALE_AFTER + MARK_WITHIN * patience {
                broken.push(format!("soak: a result was shown as current at an age of {age:?}"));
            }
        }
        if let (Some((_, first)), Some((_, last))) = (self.memory.first(), self.memory.last())
            && *last as f64 > *first as f64 * growth
        {
            broken.push(format!("soak: memory grew from {first} to {last} bytes"));
        }
        broken
    }

    fn table(&self, seconds: f64) -> Table {
        let n = self.course.n_images;
        let mut table =
            Table::new(format!("soak: {n} images over link and folder, {seconds:.0} s"), &["what", "found"]);
        for (n, bytes) in &self.memory {
            table.row(&[&format!("memory after {n} images"), &format!("{:.1} MB", *bytes as f64 / 1e6)]);
        }
        for (n, took) in &self.restarts {
            let what = format!("restart with {n} answers kept, to the first answer");
            table.row(&[&what, &format!("{:.2} s", took.as_secs_f64())]);
        }
        let worst = |of: fn(&(Duration, Duration)) -> Duration| self.marks.iter().map(of).max().unwrap_or_default();
        for (where_shown, age) in [("screen", worst(|&(screen, _)| screen)), ("web page", worst(|&(_, web)| web))] {
            let what = format!("oldest result not marked as old (after {STALE_AFTER:?}), {where_shown}");
            table.row(&[&what, &format!("{:.2} s", age.as_secs_f64())]);
        }
        table
    }
}
