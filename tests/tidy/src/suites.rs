//! Rules for the staged suites: what a student reads when a test fails.

use syn::visit::{self, Visit};

use crate::Repo;

/// Every test says which rule it checks, and opens its frame first.
pub fn tests_say_what_they_check(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    let folders = ["tests/stage_", "tests/programs/"];
    for (path, text) in folders.iter().flat_map(|folder| repo.files(folder, ".rs")) {
        match syn::parse_file(text) {
            Ok(file) => Tests { path, findings: &mut findings }.visit_file(&file),
            Err(e) => findings.push(format!("{path}: {e}")),
        }
    }
    findings
}

struct Tests<'a> {
    path: &'a str,
    findings: &'a mut Vec<String>,
}

impl<'ast> Visit<'ast> for Tests<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if function.attrs.iter().any(is_test) {
            let place =
                format!("{}:{}: {}", self.path, function.sig.ident.span().start().line, function.sig.ident);
            if !function.attrs.iter().any(|a| a.path().is_ident("doc")) {
                self.findings
                    .push(format!("{place}: say in a doc comment which rule it checks, and its section"));
            }
            if !function.block.stmts.first().is_some_and(opens_frame) {
                self.findings
                    .push(format!("{place}: start with `let lab = lab!();`, or the grader sees no end"));
            }
        }
        visit::visit_item_fn(self, function);
    }
}

fn is_test(attribute: &syn::Attribute) -> bool {
    let name = attribute.path().segments.last().map(|s| s.ident.to_string());
    matches!(name.as_deref(), Some("test" | "rstest"))
}

fn opens_frame(statement: &syn::Stmt) -> bool {
    let syn::Stmt::Local(syn::Local { init: Some(init), .. }) = statement else { return false };
    matches!(&*init.expr, syn::Expr::Macro(call) if call.mac.path.segments.last().is_some_and(|s| s.ident == "lab"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_clean;

    #[test]
    fn the_repository_keeps_the_rules_for_suites() {
        assert_clean(&tests_say_what_they_check(&Repo::here()));
    }

    #[test]
    fn a_test_without_docs_or_frame_is_found() {
        let findings = |text| tests_say_what_they_check(&Repo::of(&[("tests/stage_1/a.rs", text)])).len();
        assert_eq!(findings("/// Rule.\n#[test]\nfn t() { let _lab = lab!(); }"), 0);
        assert_eq!(
            findings("/// Rule.\n#[rstest]\n#[case(1)]\nfn t(#[case] n: u64) { let lab = lab!(); }"),
            0
        );
        assert_eq!(findings("#[test]\nfn t() { let _lab = lab!(); }"), 1);
        assert_eq!(findings("/// Rule.\n#[test]\nfn t() { let net = Net::new(3); let lab = lab!(); }"), 1);
        assert_eq!(findings("mod inner {\n#[rstest]\nfn t() {}\n}"), 2);
        assert_eq!(findings("fn helper() {}"), 0);
    }
}
