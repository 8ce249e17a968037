//! What the sources define: how long each function is, and what everything is called.

use proc_macro2::Span;
use syn::visit::{self, Visit};

const FUNCTION_LINES_MAX: usize = 70;

/// Words that say nothing about what a thing is, or are cut short.
const BANNED: [&str; 8] = ["manager", "helper", "helpers", "util", "utils", "common", "msg", "sub"];

/// Looks at each function and each name that is given.
#[derive(Default)]
pub struct Survey {
    /// The file that is looked at.
    pub file: String,
    pub broken_lengths: Vec<String>,
    pub broken_names: Vec<String>,
}

impl Survey {
    fn function(&mut self, name: &syn::Ident, span: Span) {
        let lines = span.end().line - name.span().start().line + 1;
        if lines > FUNCTION_LINES_MAX {
            self.broken_lengths.push(format!("{}: {name} has {lines} lines", self.file));
        }
        self.named(name);
    }

    fn named(&mut self, name: &syn::Ident) {
        if let Some(word) = banned(&name.to_string()) {
            let line = name.span().start().line;
            self.broken_names.push(format!("{}:{line}: {name} says \"{word}\"", self.file));
        }
    }
}

/// The banned word that a name contains, if it does.
pub fn banned(name: &str) -> Option<&'static str> {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    BANNED.into_iter().find(|word| words.split('_').any(|part| part == *word))
}

impl<'ast> Visit<'ast> for Survey {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.block.brace_token.span.close());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.named(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.named(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.named(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.named(&item.ident);
        visit::visit_item_mod(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.named(&item.ident);
        visit::visit_item_const(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.named(&item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_variant(&mut self, item: &'ast syn::Variant) {
        self.named(&item.ident);
        visit::visit_variant(self, item);
    }

    fn visit_field(&mut self, item: &'ast syn::Field) {
        item.ident.iter().for_each(|name| self.named(name));
        visit::visit_field(self, item);
    }

    fn visit_pat_ident(&mut self, item: &'ast syn::PatIdent) {
        self.named(&item.ident);
        visit::visit_pat_ident(self, item);
    }
}
