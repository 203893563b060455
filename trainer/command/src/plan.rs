//! Plans: from a recipe or a file, and `remedis-train plan`.

use std::path::Path;

use anyhow::{Context, Result};
use remedis_train::Plan;

use crate::arguments::{Given, PlanArguments, Recipe};
use crate::run::Outcome;

/// `remedis-train plan`.
pub(crate) fn write(arguments: &PlanArguments) -> Result<Outcome> {
    let text = recipe(arguments.recipe).to_toml_commented();
    match &arguments.output {
        None => print!("{text}"),
        Some(path) => {
            crate::run::folder::write_atomic(path, text.as_bytes())?;
            let path = path.display();
            println!(
                "wrote {path}; next: remedis-train run {path} --data SET --shifted SET --natural SET --out FOLDER"
            );
        }
    }
    Ok(Outcome::Done)
}

/// The plan that was asked for, its seed and precision overridden where asked, checked.
pub(crate) fn resolve(given: &Given) -> Result<Plan> {
    let mut plan = match &given.plan {
        Some(path) => read(path)?,
        None => recipe(given.recipe),
    };
    if let Some(precision) = given.precision {
        plan.precision = precision.into();
    }
    if let Some(seed) = given.seed {
        plan.seed = seed;
    }
    plan.check().context("the plan cannot be run")?;
    Ok(plan)
}

fn read(path: &Path) -> Result<Plan> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("reading the plan {}; `remedis-train plan -o plan.toml` writes one", path.display())
    })?;
    Plan::from_toml(&text).with_context(|| format!("in the plan {}", path.display()))
}

fn recipe(recipe: Recipe) -> Plan {
    match recipe {
        Recipe::Demo => Plan::demo(),
        Recipe::Real => Plan::real(),
        Recipe::Tiny => Plan::tiny(),
    }
}
