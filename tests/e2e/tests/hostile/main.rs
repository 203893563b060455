//! Hostile peers, bundles, images and files that vanish against the running device: each is refused or survived, and written down, and
//! whoever is honest is served on.

mod bundles;
mod files;
mod lies;
mod link;
mod place;
mod vanishing;
mod web;
