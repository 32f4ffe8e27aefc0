//! Keeping the test lists of labs.toml equal to the tests that exist.

use toml_edit::{Array, DocumentMut, Item, Value};

use crate::cargo::{self, Build};
use crate::error::{Error, Result};
use crate::grade::{difference, needs};
use crate::kit::Kit;
use crate::labs::{PATH, Stage};
use crate::scratch::Scratch;
use crate::text;

/// The tests of one stage, as its suite lists them.
struct Listed<'a> {
    stage: &'a Stage,
    tests: Vec<String>,
}

/// Compares the lists with the suites of the kit as it stands; the differences, one a line.
pub fn compare(kit: &Kit) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for Listed { stage, tests } in list(kit)? {
        out.extend(difference(stage, &tests.iter().map(String::as_str).collect::<Vec<_>>()));
        if !stage.tests.is_sorted() {
            out.push(format!("stage {}: the tests are not sorted", stage.id));
        }
    }
    Ok(out)
}

/// Writes the lists anew, and returns how many tests there are.
pub fn write(kit: &Kit) -> Result<usize> {
    let listed = list(kit)?;
    let path = kit.root.join(PATH);
    let old = std::fs::read_to_string(&path).map_err(|e| Error::input_io(&path, &e))?;
    let new = rewrite(&old, &listed)?;
    if new != old {
        std::fs::write(&path, new).map_err(|e| Error::input_io(&path, &e))?;
    }
    Ok(listed.iter().map(|l| l.tests.len()).sum())
}

fn list(kit: &Kit) -> Result<Vec<Listed<'_>>> {
    let stages: Vec<&Stage> = kit.labs.stages.iter().collect();
    let scratch = Scratch::open(kit, 0)?;
    let workshop = scratch.lay_out(&kit.pristine()?, kit.labs.build_limit)?;
    let (features, targets) = needs(&stages);
    let build: Result<Build> = workshop.build(&features, &targets);
    scratch.built()?;
    let build = build?;
    let mut out: Vec<Listed<'_>> = Vec::new();
    for stage in stages {
        let Some(program) = build.programs.get(&stage.target) else {
            let why = build.errors.first().map_or("", String::as_str);
            return Err(Error::input(format!("{} does not compile: {}", stage.target, text::one_line(why))));
        };
        let tests = cargo::list_tests(program, &scratch.dir)?;
        let tests = tests.into_iter().filter(|t| t.starts_with(&stage.filter)).collect();
        out.push(Listed { stage, tests });
    }
    Ok(out)
}

/// labs.toml with other lists. Everything else in it, comments too, stays as it is.
fn rewrite(old: &str, listed: &[Listed<'_>]) -> Result<String> {
    let parsed = old.parse::<DocumentMut>();
    let mut doc = parsed.map_err(|e| Error::input(format!("{PATH}: {}", text::one_line(e.message()))))?;
    let stages = doc.get_mut("stage").and_then(Item::as_array_of_tables_mut);
    for table in stages.into_iter().flat_map(|stages| stages.iter_mut()) {
        let id = table.get("id").and_then(Item::as_str).unwrap_or_default();
        if let Some(found) = listed.iter().find(|l| l.stage.id == id) {
            let mut array = Array::new();
            for test in &found.tests {
                let mut value = Value::from(test.as_str());
                value.decor_mut().set_prefix("\n    ");
                array.push_formatted(value);
            }
            array.set_trailing_comma(true);
            array.set_trailing("\n");
            table["tests"] = Item::Value(Value::Array(array));
        }
    }
    Ok(doc.to_string())
}
