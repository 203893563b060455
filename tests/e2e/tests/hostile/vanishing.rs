//! Hardware, folders and displays that go away and come back.

use crate::place::{Place, in_time, read};
use anyhow::{Result, ensure};
use std::fs;

const LINK_LOST: &str = "remedis_alarm{alarm=\"source_lost\",source=\"link\"}";
const FOLDER_LOST: &str = "remedis_alarm{alarm=\"source_lost\",source=\"folder\"}";

#[test]
fn hardware_that_vanishes_is_missed_and_answered_again_on_the_same_line() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let visitor = place.log_in()?;
    let mut hardware = place.hardware()?;
    place.serves_everybody("the start")?;
    place.device.wait_for("connected source=link")?;

    hardware.kill()?;
    place.device.wait_for("source_lost source=link reason=")?;
    in_time("the alarm", || place.metric(&visitor, LINK_LOST).is_ok_and(|on| on == 1.0))?;
    ensure!(place.metric(&visitor, "remedis_source_up{source=\"link\"}")? == 0.0, "it is told which one is lost");
    ensure!(read(&visitor, "/")?.contains("A source of images is gone"), "people read it too");
    place.serves_folder("the loss of the hardware")?;
    place.serves_page(&visitor)?;

    let _next = place.hardware()?;
    place.device.wait_for("source_open source=link")?;
    place.device.wait_for("connected source=link")?;
    place.serves_everybody("its return")?;
    ensure!(place.metric(&visitor, LINK_LOST).is_err(), "the alarm is over");
    ensure!(!read(&visitor, "/")?.contains("A source of images is gone"), "nobody is told any more");
    place.end()
}

#[test]
fn a_folder_that_vanishes_is_missed_and_answered_again() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let _hardware = place.hardware()?;
    let visitor = place.log_in()?;
    place.serves_everybody("the start")?;
    for round in ["once", "twice"] {
        fs::remove_dir_all(place.yard.at("inbox"))?;
        place.device.wait_for("source_lost source=folder reason=")?;
        ensure!(place.metric(&visitor, FOLDER_LOST)? == 1.0, "the alarm is on, {round}");
        place.serves_hardware("the loss of the folder")?;
        fs::create_dir(place.yard.at("inbox"))?;
        place.device.wait_for("source_open source=folder")?;
        place.serves_everybody("its return")?;
        ensure!(place.metric(&visitor, FOLDER_LOST).is_err(), "the alarm is over, {round}");
    }
    place.end()
}

#[test]
fn a_display_that_vanishes_is_missed_and_drawn_on_again() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let (screen, away) = (place.yard.at("screen"), place.yard.at("away"));
    let visitor = place.log_in()?;
    in_time("the first page", || screen.join("page.png").exists())?;
    fs::rename(&screen, &away)?;
    // The next page is due when something changes.
    place.serves_folder("the loss of the display")?;
    place.device.wait_for("screen_failed reason=png: ")?;
    ensure!(place.metric(&visitor, "remedis_alarm{alarm=\"display_lost\"}")? == 1.0, "the alarm is on");
    fs::remove_file(away.join("page.png"))?;
    fs::rename(&away, &screen)?;
    place.device.wait_for("screen_back")?;
    ensure!(screen.join("page.png").exists(), "the page is there again");
    place.serves_folder("its return")?;
    place.end()
}
