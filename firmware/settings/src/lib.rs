//! What the device is told in its TOML file. `firmware/device/example.toml` shows every setting; `remedis-device check` explains them.

mod explain;
mod operation;
mod output;
mod source;

pub use explain::Line;
pub use operation::{HealthConfig, JournalConfig, ModelsConfig};
pub use output::{Controller, Language, Page, ScreenConfig, SpiConfig, WebConfig};
pub use source::{FolderConfig, LinkConfig, OpenMvConfig};

use explain::Explain;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Every setting. Relative paths are relative to the file the settings came from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model bundle that the device begins with.
    pub bundle: PathBuf,
    /// minisign public key files; a bundle signed by none of them is refused.
    pub trusted_keys: Vec<PathBuf>,
    /// The folder where plans are kept that were made of models, so that a start need not make them again; only the device's user
    /// may write there. Without it a plan is made at every start.
    pub plans: Option<PathBuf>,
    /// Where models are kept that were installed later; without it `bundle` is the only one.
    pub models: Option<ModelsConfig>,
    /// Imaging hardware that speaks our link.
    pub link: Option<LinkConfig>,
    /// A camera that speaks OpenMV's protocol.
    pub openmv: Option<OpenMvConfig>,
    /// A folder where others put images.
    pub folder: Option<FolderConfig>,
    /// Where answers and the audit log are kept.
    pub journal: JournalConfig,
    /// When a result is old, and what is watched over.
    #[serde(default)]
    pub health: HealthConfig,
    /// Where the page goes; without this section there is no screen.
    pub screen: Option<ScreenConfig>,
    /// The local web page; without this section there is none.
    pub web: Option<WebConfig>,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has an unknown or missing setting.
    #[error("cannot understand the settings")]
    Parse(#[from] toml::de::Error),
    /// A setting has a value that cannot work.
    #[error("{setting} is {found}, expected {expected}")]
    Value {
        /// Which.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Nothing would ever come in.
    #[error("no source of images is set: expected at least one of the sections [link], [openmv] and [folder]")]
    NoSource,
}

impl Config {
    /// Reads and checks the settings in `path`.
    ///
    /// # Errors
    /// When the file cannot be read, holds an unknown setting, lacks one, or one has an impossible value.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config = Self::parse(&text)?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads and checks settings; paths stay as they are written.
    ///
    /// # Errors
    /// As [`Config::open`], but for the file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.trusted_keys.is_empty() {
            return value("trusted_keys", "empty", "at least one minisign public key file");
        }
        if self.link.is_none() && self.openmv.is_none() && self.folder.is_none() {
            return Err(ConfigError::NoSource);
        }
        self.link.as_ref().map_or(Ok(()), LinkConfig::check)?;
        self.openmv.as_ref().map_or(Ok(()), OpenMvConfig::check)?;
        self.folder.as_ref().map_or(Ok(()), FolderConfig::check)?;
        self.models.as_ref().map_or(Ok(()), ModelsConfig::check)?;
        self.journal.check()?;
        self.health.check()?;
        self.screen.as_ref().map_or(Ok(()), ScreenConfig::check)?;
        self.web.as_ref().map_or(Ok(()), WebConfig::check)
    }

    fn resolve(&mut self, folder: &Path) {
        let mut paths = vec![&mut self.bundle];
        paths.extend(self.trusted_keys.iter_mut().chain(&mut self.plans));
        paths.extend(self.models.as_mut().map(|models| &mut models.folder));
        paths.extend(self.link.as_mut().map(|link| &mut link.port));
        if let Some(OpenMvConfig { port, script, .. }) = &mut self.openmv {
            paths.extend([port].into_iter().chain(script));
        }
        paths.extend(self.folder.as_mut().map(|folder| &mut folder.path));
        paths.extend([&mut self.journal.answers, &mut self.journal.audit]);
        paths.extend(self.health.thermometer.as_mut());
        paths.extend(self.screen.as_mut().into_iter().flat_map(ScreenConfig::paths));
        paths.extend(self.web.as_mut().map(|web| &mut web.token));
        for path in paths {
            *path = folder.join(&*path);
        }
    }

    /// Every setting with its value and what it means, in the order of the file.
    pub fn explain(&self) -> Vec<Line> {
        let mut explain = Explain::default();
        let trusted: Vec<_> = self.trusted_keys.iter().map(|path| path.display().to_string()).collect();
        explain.path("bundle", &self.bundle, "the model that the device begins with");
        explain.value("trusted_keys", trusted.join(", "), "a bundle signed by none of them is refused");
        explain.optional_path("plans", self.plans.as_deref(), "where the packed model is kept between starts");
        explain.section("models", self.models.as_ref(), "the bundle above is the only model", ModelsConfig::explain);
        explain.section("link", self.link.as_ref(), "no hardware on our link", LinkConfig::explain);
        explain.section("openmv", self.openmv.as_ref(), "no OpenMV camera", OpenMvConfig::explain);
        explain.section("folder", self.folder.as_ref(), "no watched folder", FolderConfig::explain);
        self.journal.explain(&mut explain);
        self.health.explain(&mut explain);
        explain.section("screen", self.screen.as_ref(), "the device runs without one", ScreenConfig::explain);
        explain.section("web", self.web.as_ref(), "no web page", WebConfig::explain);
        explain.lines
    }
}

/// A setting whose value cannot work.
fn value(setting: &'static str, found: impl ToString, expected: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::Value { setting, found: found.to_string(), expected })
}

#[cfg(test)]
mod tests;
