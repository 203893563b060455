//! The walls of the house, read from cargo metadata rather than kept in memory. ARCHITECTURE.md shows the map.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

use crate::step::{capture, cargo, root};

/// Which of our crates each of our crates may use (outside its tests).
const DOORS: &[(&str, &[&str])] = &[
    ("remedis-bundle", &[]),
    ("remedis-imaging", &["remedis-bundle"]),
    ("remedis-kernels", &[]),
    ("remedis-onnx", &[]),
    ("remedis-plan", &["remedis-kernels", "remedis-onnx"]),
    ("remedis-inference", &["remedis-bundle", "remedis-imaging", "remedis-plan"]),
    ("remedis-data", &["remedis-imaging", "remedis-bundle"]),
    ("remedis-metrics", &[]),
    ("remedis-ops", &[]),
    ("remedis-ranks", &[]),
    ("remedis-weights", &[]),
    ("remedis-model", &["remedis-ops", "remedis-weights"]),
    ("remedis-views", &["remedis-imaging"]),
    (
        "remedis-train",
        &[
            "remedis-model",
            "remedis-ops",
            "remedis-ranks",
            "remedis-views",
            "remedis-imaging",
            "remedis-bundle",
            "remedis-data",
            "remedis-metrics",
        ],
    ),
    ("remedis-export", &["remedis-model", "remedis-imaging", "remedis-bundle", "remedis-onnx"]),
    (
        "remedis-command",
        &[
            "remedis-train",
            "remedis-export",
            "remedis-data",
            "remedis-bundle",
            "remedis-metrics",
            "remedis-model",
            "remedis-ops",
            "remedis-ranks",
            "remedis-views",
            "remedis-imaging",
        ],
    ),
    ("remedis-link", &[]),
    ("remedis-openmv", &[]),
    ("remedis-screen", &[]),
    ("remedis-settings", &["remedis-link"]),
    ("remedis-store", &[]),
    ("remedis-slots", &["remedis-bundle"]),
    ("remedis-web", &[]),
    (
        "remedis-device",
        &[
            "remedis-inference",
            "remedis-plan",
            "remedis-imaging",
            "remedis-bundle",
            "remedis-link",
            "remedis-openmv",
            "remedis-screen",
            "remedis-settings",
            "remedis-store",
            "remedis-slots",
            "remedis-web",
        ],
    ),
    (
        "remedis-cli",
        &[
            "remedis-bundle",
            "remedis-imaging",
            "remedis-inference",
            "remedis-plan",
            "remedis-data",
            "remedis-metrics",
            "remedis-link",
            "remedis-openmv",
            "remedis-store",
        ],
    ),
    ("remedis-campaign", &["remedis-link", "remedis-openmv", "remedis-programs", "remedis-screen", "remedis-store"]),
    ("remedis-programs", &[]),
    ("xtask", &[]),
];

/// Programs and libraries that run on a device: nothing below them may train.
const ON_DEVICE: &[&str] = &["remedis-device", "remedis-cli", "remedis-inference", "remedis-imaging", "remedis-bundle"];
/// Crates that must compile without the standard library.
const NO_STD: &[&str] = &["remedis-link", "remedis-screen"];
/// Folders that may hold `unsafe`.
const KERNELS: &[&str] = &["runtime/kernels", "trainer/ops"];

/// Check every wall and report every breach at once.
///
/// # Errors
/// If a wall is breached, naming each breach.
pub(crate) fn run() -> Result<()> {
    let metadata =
        MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().context("reading cargo metadata")?;
    let graph = Graph::new(&metadata)?;
    let mut breaches = Vec::new();
    doors(&graph, &mut breaches);
    for package in ON_DEVICE {
        graph.forbid(package, "burn", "nothing a device links may depend on Burn", &mut breaches);
    }
    for package in graph.ours_under(&root().join("trainer")) {
        graph.forbid(&package, "tract", "nothing in trainer/ may depend on tract", &mut breaches);
    }
    no_std(&mut breaches)?;
    manifests(&metadata, &mut breaches)?;
    sources(&mut breaches)?;
    if !breaches.is_empty() {
        bail!("{} walls are breached:\n  {}", breaches.len(), breaches.join("\n  "));
    }
    println!(
        "the walls stand: {} crates, {} doors",
        DOORS.len(),
        DOORS.iter().map(|(_, uses)| uses.len()).sum::<usize>()
    );
    Ok(())
}

/// The dependency graph without dev-dependencies.
struct Graph {
    names: BTreeMap<PackageId, String>,
    folders: BTreeMap<String, PathBuf>,
    edges: BTreeMap<PackageId, Vec<PackageId>>,
}

impl Graph {
    fn new(metadata: &Metadata) -> Result<Self> {
        let names = metadata.packages.iter().map(|package| (package.id.clone(), package.name.to_string())).collect();
        let folders = metadata
            .workspace_packages()
            .iter()
            .map(|package| {
                let manifest = package.manifest_path.as_std_path();
                (package.name.to_string(), manifest.parent().unwrap_or(manifest).to_owned())
            })
            .collect();
        let resolve = metadata.resolve.as_ref().context("cargo metadata resolved nothing")?;
        let shipped =
            |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|info| info.kind == DependencyKind::Normal);
        let edges = resolve
            .nodes
            .iter()
            .map(|node| {
                let uses =
                    node.deps.iter().filter(|edge| shipped(&edge.dep_kinds)).map(|edge| edge.pkg.clone()).collect();
                (node.id.clone(), uses)
            })
            .collect();
        Ok(Self { names, folders, edges })
    }

    fn id(&self, name: &str) -> Option<&PackageId> {
        self.names.iter().find(|(_, found)| *found == name).map(|(id, _)| id)
    }

    fn uses(&self, name: &str) -> impl Iterator<Item = &str> {
        self.id(name).and_then(|id| self.edges.get(id)).into_iter().flatten().map(|id| self.names[id].as_str())
    }

    fn ours_under(&self, folder: &Path) -> Vec<String> {
        self.folders.iter().filter(|(_, at)| at.starts_with(folder)).map(|(name, _)| name.clone()).collect()
    }

    /// A breach when anything whose name starts with `prefix` is reachable from `package`; it shows the way there.
    fn forbid(&self, package: &str, prefix: &str, rule: &str, breaches: &mut Vec<String>) {
        let Some(start) = self.id(package) else { return };
        let mut came_from: BTreeMap<&PackageId, &PackageId> = BTreeMap::new();
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![start];
        while let Some(at) = waiting.pop() {
            if self.names[at].starts_with(prefix) {
                let mut way = vec![self.names[at].as_str()];
                let mut step = at;
                while let Some(before) = came_from.get(step) {
                    way.push(&self.names[*before]);
                    step = before;
                }
                way.reverse();
                breaches.push(format!("{rule}: {}", way.join(" -> ")));
                return;
            }
            for next in self.edges.get(at).into_iter().flatten() {
                if seen.insert(next) {
                    came_from.insert(next, at);
                    waiting.push(next);
                }
            }
        }
    }
}

fn doors(graph: &Graph, breaches: &mut Vec<String>) {
    for name in graph.folders.keys().filter(|name| *name != "remedis-e2e") {
        let Some((_, allowed)) = DOORS.iter().find(|(door, _)| door == name) else {
            breaches.push(format!("{name} has no line in tools/xtask/src/tidy.rs: say there what it may use"));
            continue;
        };
        for used in graph.uses(name).filter(|used| graph.folders.contains_key(*used)) {
            if !allowed.contains(&used) {
                breaches.push(format!("{name} uses {used}, which ARCHITECTURE.md does not allow"));
            }
        }
    }
}

fn no_std(breaches: &mut Vec<String>) -> Result<()> {
    for package in NO_STD {
        let tree = capture(&mut cargo(&["tree", "-p", package, "-e", "normal,features", "--prefix", "none"])?)?;
        for line in tree.lines().filter(|line| line.contains("feature \"std\"") || line.contains("feature \"alloc\"")) {
            breaches.push(format!("{package} must build without std, but switches on {line}"));
        }
        let folder = package.trim_start_matches("remedis-");
        let source = std::fs::read_to_string(root().join("firmware").join(folder).join("src/lib.rs"))?;
        if !source.contains("#![no_std]") {
            breaches.push(format!("{package} does not say #![no_std]"));
        }
    }
    Ok(())
}

fn manifests(metadata: &Metadata, breaches: &mut Vec<String>) -> Result<()> {
    for package in metadata.workspace_packages() {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        if package.name != format!("remedis-{folder}") && package.name != "xtask" {
            breaches.push(format!("folder {folder} should hold crate remedis-{folder}, not {}", package.name));
        }
        if !std::fs::read_to_string(manifest)?.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{} does not take the workspace's lints", package.name));
        }
        for pinned in ["burn", "tract-onnx"] {
            for dependency in package.dependencies.iter().filter(|dependency| dependency.name == pinned) {
                if !dependency.req.to_string().starts_with('=') {
                    breaches.push(format!("{} must pin {pinned} exactly", package.name));
                }
            }
        }
    }
    Ok(())
}

fn sources(breaches: &mut Vec<String>) -> Result<()> {
    let listed = capture(std::process::Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()))?;
    for file in listed.lines().filter(|file| root().join(file).is_file()) {
        let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if ["utils", "util", "common", "helpers", "misc"].contains(&stem) {
            breaches.push(format!("{file}: name the idea, not \"{stem}\""));
        }
        let in_kernels = KERNELS.iter().any(|folder| file.starts_with(folder));
        let source = std::fs::read_to_string(root().join(file))?;
        let lifts_the_lint = concat!("(unsafe", "_code");
        if !in_kernels && source.lines().any(|line| line.contains(lifts_the_lint) && !line.contains("forbid")) {
            breaches.push(format!("{file}: unsafe code is for {} only", KERNELS.join(" and ")));
        }
    }
    Ok(())
}
