//! Hostile peers, bundles, images and files that vanish against the running device, models that are exchanged and memory that runs out
//! under way: each is refused or survived, and written down, and whoever is honest is served on.

mod bundles;
mod ends;
mod files;
mod lies;
mod link;
mod models;
mod place;
mod vanishing;
mod web;
