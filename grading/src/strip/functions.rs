//! Where a marker may stand, seen from the syntax tree.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ReturnType, Signature, Stmt};

use super::{Kind, Region};
use crate::error::{Error, Result};

/// A function: the lines of its braces and of what is between them.
struct Function {
    name: String,
    returns: Returns,
    open: usize,
    close: usize,
    /// First and last line of the statements.
    inner: Option<(usize, usize)>,
    /// The same without a last `Ok(())`, if there is one.
    before_ok: Option<(usize, usize)>,
}

#[derive(PartialEq)]
enum Returns {
    Nothing,
    Something,
    Opaque,
}

/// An arm: its first and last line, and the line on which its match begins.
struct Arm {
    first: usize,
    last: usize,
    of: usize,
}

#[derive(Default)]
struct Finder {
    /// The type whose `impl` we are in.
    owner: Option<String>,
    functions: Vec<Function>,
    arms: Vec<Arm>,
}

/// Checks that every region stands where a starter can be made from it, and gives each the name of its
/// function (empty for SOLUTION).
pub fn check(file: &str, text: &str, regions: &[Region]) -> Result<Vec<String>> {
    let parsed = syn::parse_file(text)
        .map_err(|e| Error::input(format!("{file}:{}: this is not Rust: {e}", e.span().start().line)))?;
    let mut finder = Finder::default();
    finder.visit_file(&parsed);
    regions.iter().map(|region| check_one(file, region, &finder)).collect()
}

fn check_one(file: &str, region: &Region, finder: &Finder) -> Result<String> {
    let fail = |what: String| Err(Error::input(format!("{file}:{}: {what}", region.begin)));
    let idle = match &region.kind {
        Kind::Solution => {
            let cuts = |arm: &Arm| arm.of < region.begin && region.begin < arm.first && arm.last < region.end;
            if finder.arms.iter().any(cuts) {
                return fail(
                    "a marker may not stand around match arms: move them into a function".to_string(),
                );
            }
            return Ok(String::new());
        }
        Kind::Lab { idle, .. } => *idle,
    };
    let within = |f: &Function, inner: Option<(usize, usize)>| {
        f.open < region.begin
            && region.end < f.close
            && inner.is_some_and(|(first, last)| region.begin < first && last < region.end)
    };
    // The innermost one, where functions are nested.
    let innermost = |inner: fn(&Function) -> Option<(usize, usize)>| {
        finder.functions.iter().filter(|f| within(f, inner(f))).min_by_key(|f| f.close - f.open)
    };
    if idle && let Some(function) = innermost(|f| f.before_ok).filter(|f| !within(f, f.inner)) {
        return Ok(function.name.clone());
    }
    let Some(function) = innermost(|f| f.inner) else {
        return fail("LAB stands around a whole function body".to_string());
    };
    match function.returns {
        Returns::Opaque => {
            fail(format!("{} returns impl Trait, which todo!() is not: name the type", function.name))
        }
        Returns::Something if idle => fail(format!(
            "{} returns a value, so its stub cannot be idle: only a last `Ok(())` may stay, behind END",
            function.name
        )),
        _ => Ok(function.name.clone()),
    }
}

impl Finder {
    fn add(&mut self, signature: &Signature, block: &Block) {
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        let span = block.brace_token.span;
        let before_ok = match block.stmts.split_last() {
            Some((last, before)) if last.to_token_stream().to_string() == "Ok (())" => lines(before),
            _ => None,
        };
        let returns = match &signature.output {
            ReturnType::Default => Returns::Nothing,
            ReturnType::Type(_, kind) if is_opaque(kind) => Returns::Opaque,
            ReturnType::Type(..) => Returns::Something,
        };
        let (open, close) = (first_line(span.open()), last_line(span.close()));
        self.functions.push(Function { name, returns, open, close, inner: lines(&block.stmts), before_ok });
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match item.self_ty.as_ref() {
            syn::Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let outer = self.owner.take();
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
        self.owner = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        let of = first_line(expr.span());
        let arms = expr.arms.iter().map(Spanned::span);
        self.arms.extend(arms.map(|span| Arm { first: first_line(span), last: last_line(span), of }));
        visit::visit_expr_match(self, expr);
    }
}

/// First and last line of some statements.
fn lines(stmts: &[Stmt]) -> Option<(usize, usize)> {
    Some((first_line(stmts.first()?.span()), last_line(stmts.last()?.span())))
}

fn is_opaque(kind: &syn::Type) -> bool {
    struct Opaque(bool);
    impl<'ast> Visit<'ast> for Opaque {
        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut found = Opaque(false);
    found.visit_type(kind);
    found.0
}

fn first_line(span: Span) -> usize {
    span.start().line
}

fn last_line(span: Span) -> usize {
    span.end().line
}
