//! Keeping the test lists of labs.toml equal to the tests that exist.

use toml_edit::{Array, DocumentMut, Item, Value};

use crate::build::build_all;
use crate::cargo;
use crate::error::{Error, Result};
use crate::grade::difference;
use crate::kit::Kit;
use crate::labs::{PATH, Stage, Suite};
use crate::scratch::Scratch;
use crate::text;

/// The tests of one suite of a stage, as its target lists them.
struct Listed<'a> {
    stage: &'a Stage,
    suite: &'a Suite,
    tests: Vec<String>,
}

/// Compares the lists with the suites of the kit as it stands; the differences, one a line.
pub fn compare(kit: &Kit) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for Listed { stage, suite, tests } in list(kit)? {
        out.extend(difference(&stage.id, suite, &tests.iter().map(String::as_str).collect::<Vec<_>>()));
        if !suite.tests.is_sorted() {
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
    let built = build_all(&workshop, &scratch, &stages)?;
    let mut out: Vec<Listed<'_>> = Vec::new();
    for (stage, suite) in stages.iter().flat_map(|stage| stage.suites().map(move |suite| (*stage, suite))) {
        let program = built.program(suite).map_err(|why| cargo::does_not_compile(&suite.target, why))?;
        let tests = cargo::list_tests(program, &scratch.dir)?;
        let tests = tests.into_iter().filter(|t| t.starts_with(&suite.filter)).collect();
        out.push(Listed { stage, suite, tests });
    }
    Ok(out)
}

/// labs.toml with other lists. Everything else in it, comments too, stays as it is.
fn rewrite(old: &str, listed: &[Listed<'_>]) -> Result<String> {
    let parsed = old.parse::<DocumentMut>();
    let mut doc = parsed.map_err(|e| Error::input(format!("{PATH}: {}", text::one_line(e.message()))))?;
    let stages = doc.get_mut("stage").and_then(Item::as_array_of_tables_mut);
    for table in stages.into_iter().flat_map(|stages| stages.iter_mut()) {
        let id = table.get("id").and_then(Item::as_str).unwrap_or_default().to_string();
        for Listed { stage, suite, tests } in listed.iter().filter(|l| l.stage.id == id) {
            let is_own = suite.target == stage.suite.target;
            let place = if is_own {
                Some(&mut *table)
            } else {
                table.get_mut("programs").and_then(Item::as_table_mut)
            };
            if let Some(place) = place {
                place["tests"] = Item::Value(Value::Array(array(tests)));
            }
        }
    }
    Ok(doc.to_string())
}

/// One test a line.
fn array(tests: &[String]) -> Array {
    let mut array = Array::new();
    for test in tests {
        let mut value = Value::from(test.as_str());
        value.decor_mut().set_prefix("\n    ");
        array.push_formatted(value);
    }
    array.set_trailing_comma(true);
    array.set_trailing("\n");
    array
}
