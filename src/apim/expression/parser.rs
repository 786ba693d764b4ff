//! Tokens as a tree. Depth, length and number of operands are limited.

use super::{
    ast::{Comparison, Expr, ExprKind, Part, Source, Span, Statement, TypeName},
    lexer::{Piece, Problem, Token, tokens},
};

/// Real expressions have a few hundred characters.
pub(super) const LONGEST: usize = 16 * 1024;
/// How deep expressions nest, and how many members follow one another.
const DEEPEST: usize = 64;
/// Operands of one `&&`, `||` or `+`.
const MOST_OPERANDS: usize = 512;

type Parsed<T> = Result<T, Problem>;

/// Parses `@(...)` or `@{...}`.
pub(super) fn parse(text: &str) -> Parsed<Source> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if end.saturating_sub(start) > LONGEST {
        return Err(Problem {
            offset: start,
            message: format!("an expression is longer than {LONGEST} bytes"),
        });
    }
    let mut parser = Parser { text, tokens: tokens(text, start + 1..end)?, at: 0, depth: 0 };
    let source = if text[start..].starts_with("@(") {
        parser.expect("(")?;
        let expression = parser.expression()?;
        parser.expect(")")?;
        Source::Expression(expression)
    } else {
        parser.expect("{")?;
        let statements = parser.statements()?;
        parser.expect("}")?;
        Source::Block(statements, start..end)
    };
    if *parser.peek() != Token::End {
        return parser.problem("the expression has ended here");
    }
    Ok(source)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, tokens: usize) -> &Token {
        self.tokens.get(self.at + tokens).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(0..0, |(_, span)| span.clone())
    }

    /// Where the token before this one ended.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, span)| span.end)
    }

    fn is(&self, punctuation: &str) -> bool {
        matches!(self.peek(), Token::Punctuation(found) if *found == punctuation)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    fn take(&mut self, punctuation: &str) -> bool {
        let found = self.is(punctuation);
        self.at += usize::from(found);
        found
    }

    fn problem<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Problem { offset: self.span().start, message: message.into() })
    }

    fn expect(&mut self, punctuation: &str) -> Parsed<()> {
        if self.take(punctuation) {
            return Ok(());
        }
        self.problem(format!("expected '{punctuation}' but found {}", self.found()))
    }

    fn found(&self) -> String {
        match self.peek() {
            Token::End => "the end".into(),
            _ => format!("'{}'", self.text.get(self.span()).unwrap_or_default()),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.problem(format!("expected a name but found {}", self.found())),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST {
            return self.problem(format!("an expression is nested more than {DEEPEST} deep"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(Self::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        if matches!((self.peek(), self.ahead(1)), (Token::Name(_), Token::Punctuation("=>"))) {
            let start = self.span().start;
            let parameter = self.name()?;
            self.at += 1;
            let body = self.expression()?;
            return Ok(Expr { span: start..self.end(), kind: ExprKind::Lambda(parameter, Box::new(body)) });
        }
        let condition = self.coalesce()?;
        if !self.take("?") {
            return Ok(condition);
        }
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        let span = condition.span.start..self.end();
        let kind = ExprKind::Ternary(Box::new(condition), Box::new(then), Box::new(otherwise));
        Ok(Expr { kind, span })
    }

    fn coalesce(&mut self) -> Parsed<Expr> {
        let left = self.or()?;
        if !self.take("??") {
            return Ok(left);
        }
        let right = self.deeper(Self::coalesce)?;
        let span = left.span.start..right.span.end;
        Ok(Expr { kind: ExprKind::Coalesce(Box::new(left), Box::new(right)), span })
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.operands("||", ExprKind::Or, |parser| parser.operands("&&", ExprKind::And, Self::equality))
    }

    fn operands(
        &mut self,
        operator: &str,
        kind: fn(Vec<Expr>) -> ExprKind,
        operand: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        let first = operand(self)?;
        if !self.is(operator) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.take(operator) {
            if operands.len() == MOST_OPERANDS {
                return self.problem(format!("'{operator}' joins more than {MOST_OPERANDS} operands"));
            }
            operands.push(operand(self)?);
        }
        let start = operands.first().map_or(0, |first| first.span.start);
        Ok(Expr { kind: kind(operands), span: start..self.end() })
    }

    fn equality(&mut self) -> Parsed<Expr> {
        let left = self.relation()?;
        let comparison = match self.peek() {
            Token::Punctuation("==") => Comparison::Equal,
            Token::Punctuation("!=") => Comparison::Unequal,
            _ => return Ok(left),
        };
        let compared = self.compare(comparison, left, Self::relation)?;
        if self.is("==") || self.is("!=") {
            return self.problem("comparisons of comparisons are not supported: use parentheses");
        }
        Ok(compared)
    }

    fn relation(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        let comparison = match self.peek() {
            Token::Punctuation("<") => Comparison::Less,
            Token::Punctuation("<=") => Comparison::AtMost,
            Token::Punctuation(">") => Comparison::Greater,
            Token::Punctuation(">=") => Comparison::AtLeast,
            Token::Name(name) if name == "as" || name == "is" => {
                return self.problem(format!("'{name}' is not supported: use a cast, or compare with null"));
            }
            _ => return Ok(left),
        };
        self.compare(comparison, left, Self::sum)
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: Expr,
        operand: fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        self.at += 1;
        let right = operand(self)?;
        let span = left.span.start..right.span.end;
        Ok(Expr { kind: ExprKind::Compare(comparison, Box::new(left), Box::new(right)), span })
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.operands("+", ExprKind::Plus, Self::unary)?;
        let mut subtractions = 0;
        while self.take("-") {
            subtractions += 1;
            if subtractions > 8 {
                return self.problem("too many subtractions: use parentheses");
            }
            let right = self.unary()?;
            let span = left.span.start..right.span.end;
            left = Expr { kind: ExprKind::Minusing(Box::new(left), Box::new(right)), span };
            if self.is("+") {
                return self.problem("use parentheses round the subtraction");
            }
        }
        if self.is("*") || self.is("/") || self.is("%") {
            return self.problem(format!("{} is not supported", self.found()));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let start = parser.span().start;
            if parser.take("!") {
                let operand = parser.unary()?;
                return Ok(Expr { span: start..operand.span.end, kind: ExprKind::Not(Box::new(operand)) });
            }
            if parser.take("-") {
                let operand = parser.unary()?;
                return Ok(Expr { span: start..operand.span.end, kind: ExprKind::Minus(Box::new(operand)) });
            }
            if let Some(ty) = parser.cast() {
                let operand = parser.unary()?;
                return Ok(Expr {
                    span: start..operand.span.end,
                    kind: ExprKind::Cast(ty, Box::new(operand)),
                });
            }
            let primary = parser.primary()?;
            parser.postfix(primary)
        })
    }

    /// `(string)`, in front of something that can be cast.
    fn cast(&mut self) -> Option<TypeName> {
        let before = self.at;
        if self.take("(")
            && let Ok(ty) = self.type_name()
            && self.take(")")
            && is_castable(&ty)
            && !matches!(self.peek(), Token::Punctuation(next) if !matches!(*next, "(" | "!"))
            && *self.peek() != Token::End
        {
            return Some(ty);
        }
        self.at = before;
        None
    }

    fn type_name(&mut self) -> Parsed<TypeName> {
        self.deeper(|parser| {
            let start = parser.span().start;
            let mut name = parser.name()?;
            while parser.is(".") && matches!(parser.ahead(1), Token::Name(_)) {
                parser.at += 1;
                name = parser.name()?;
            }
            let mut arguments = Vec::new();
            if parser.take("<") {
                loop {
                    arguments.push(parser.type_name()?);
                    if !parser.take(",") {
                        break;
                    }
                }
                parser.expect(">")?;
            }
            let is_array = parser.is("[") && matches!(parser.ahead(1), Token::Punctuation("]"));
            parser.at += if is_array { 2 } else { 0 };
            Ok(TypeName { name, arguments, is_array, span: start..parser.end() })
        })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Token::Int(value) => ExprKind::Int(value),
            Token::Double(value) => ExprKind::Double(value),
            Token::Text(value) => ExprKind::Text(value),
            Token::Char(value) => ExprKind::Char(value),
            Token::Interpolated(pieces) => {
                self.at += 1;
                return Ok(Expr { kind: ExprKind::Interpolated(self.parts(pieces)?), span });
            }
            Token::Name(name) => match name.as_str() {
                "null" => ExprKind::Null,
                "true" => ExprKind::Bool(true),
                "false" => ExprKind::Bool(false),
                "new" => return self.new_object(),
                _ => ExprKind::Name(name),
            },
            Token::Punctuation("(") => {
                self.at += 1;
                let mut inside = self.expression()?;
                self.expect(")")?;
                inside.span = span.start..self.end();
                return Ok(inside);
            }
            _ => return self.problem(format!("expected a value but found {}", self.found())),
        };
        self.at += 1;
        Ok(Expr { kind, span })
    }

    fn parts(&mut self, pieces: Vec<Piece>) -> Parsed<Vec<Part>> {
        pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => Ok(Part::Text(text)),
                Piece::Code(span) => {
                    let mut inner = Parser {
                        text: self.text,
                        tokens: tokens(self.text, span)?,
                        at: 0,
                        depth: self.depth,
                    };
                    let hole = inner.expression()?;
                    if inner.is(":") || inner.is(",") {
                        return inner.problem("formats and alignments are not supported: use ToString(...)");
                    }
                    if *inner.peek() != Token::End {
                        return inner.problem("expected '}'");
                    }
                    Ok(Part::Hole(hole))
                }
            })
            .collect()
    }

    /// `new[] {...}`, `new string[] {...}`, `new List<string> {...}`, `new DateTime(...)`.
    fn new_object(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        self.at += 1;
        if self.is("[") {
            self.at += 1;
            self.expect("]")?;
            let kind = ExprKind::Array(self.items()?);
            return Ok(Expr { kind, span: start..self.end() });
        }
        let ty = self.type_name()?;
        let is_strings = matches!(ty.arguments.as_slice(), [only] if is_string(only));
        if (ty.is_array && is_string(&TypeName { is_array: false, ..ty.clone() }))
            || (matches!(ty.name.as_str(), "List" | "HashSet") && is_strings)
        {
            if self.take("(") {
                self.expect(")")?;
            }
            let kind = ExprKind::Array(self.items()?);
            return Ok(Expr { kind, span: start..self.end() });
        }
        if !self.is("(") {
            return self.problem(format!("expected '(' but found {}", self.found()));
        }
        let arguments = self.arguments()?;
        Ok(Expr { kind: ExprKind::New(ty, arguments), span: start..self.end() })
    }

    fn items(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("{")?;
        let mut items = Vec::new();
        while !self.is("}") {
            if items.len() == MOST_OPERANDS {
                return self.problem(format!("a list has more than {MOST_OPERANDS} entries"));
            }
            items.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(items)
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.is(")") {
            if arguments.len() == 64 {
                return self.problem("too many arguments");
            }
            arguments.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(arguments)
    }

    /// Members, calls and indexes behind a value. Each is a level, for the tree grows by each.
    fn postfix(&mut self, value: Expr) -> Parsed<Expr> {
        let before = self.depth;
        let parsed = self.links(value);
        self.depth = before;
        parsed
    }

    fn links(&mut self, mut value: Expr) -> Parsed<Expr> {
        let start = value.span.start;
        loop {
            if self.depth == DEEPEST {
                return self.problem(format!("an expression is nested more than {DEEPEST} deep"));
            }
            self.depth += 1;
            if self.take("?.") {
                let receiver = Expr { kind: ExprKind::Receiver, span: value.span.clone() };
                self.at -= 1;
                // What stands right of `?.` reads like what stands right of `.`.
                if let Some((token, _)) = self.tokens.get_mut(self.at) {
                    *token = Token::Punctuation(".");
                }
                let rest = self.deeper(|parser| parser.postfix(receiver))?;
                let span = start..self.end();
                return Ok(Expr { kind: ExprKind::Conditional(Box::new(value), Box::new(rest)), span });
            }
            if self.take(".") {
                let span = self.span();
                let name = self.name()?;
                let generic = self.generic_arguments();
                value = Expr { kind: ExprKind::Member(Box::new(value), name, span), span: start..self.end() };
                if self.is("(") {
                    let arguments = self.arguments()?;
                    let kind = ExprKind::Call(Box::new(value), generic, arguments);
                    value = Expr { kind, span: start..self.end() };
                } else if generic.is_some() {
                    return self.problem(format!("expected '(' but found {}", self.found()));
                }
            } else if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                let kind = ExprKind::Index(Box::new(value), Box::new(index));
                value = Expr { kind, span: start..self.end() };
            } else if self.is("(") {
                let arguments = self.arguments()?;
                value =
                    Expr { kind: ExprKind::Call(Box::new(value), None, arguments), span: start..self.end() };
            } else if self.is("++") || self.is("--") {
                return self.problem(format!("{} is not supported", self.found()));
            } else if self.is("?") && matches!(self.ahead(1), Token::Punctuation("[")) {
                return self.problem("'?[' is not supported: compare with null first");
            } else {
                return Ok(value);
            }
        }
    }

    /// `<string>` in front of `(`; otherwise `<` compares.
    fn generic_arguments(&mut self) -> Option<TypeName> {
        let before = self.at;
        if self.take("<")
            && let Ok(ty) = self.type_name()
            && self.take(">")
            && self.is("(")
        {
            return Some(ty);
        }
        self.at = before;
        None
    }

    fn statements(&mut self) -> Parsed<Vec<Statement>> {
        let mut statements = Vec::new();
        while !self.is("}") && *self.peek() != Token::End {
            if statements.len() == MOST_OPERANDS {
                return self.problem(format!("more than {MOST_OPERANDS} statements"));
            }
            statements.push(self.deeper(Self::statement)?);
        }
        Ok(statements)
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let span = self.span();
        if self.is_name("return") {
            self.at += 1;
            let value = self.expression()?;
            self.expect(";")?;
            return Ok(Statement::Return(value));
        }
        if self.is_name("if") {
            self.at += 1;
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            let then = self.branch()?;
            let otherwise = if self.is_name("else") {
                self.at += 1;
                self.branch()?
            } else {
                Vec::new()
            };
            return Ok(Statement::If { condition, then, otherwise });
        }
        for unsupported in
            ["for", "foreach", "while", "do", "switch", "try", "throw", "using", "goto", "lock"]
        {
            if self.is_name(unsupported) {
                return self.problem(format!("'{unsupported}' is not supported"));
            }
        }
        // `name = value;`, or a type and then that.
        if matches!(self.ahead(1), Token::Punctuation("=")) {
            let name = self.name()?;
            self.at += 1;
            let value = self.expression()?;
            self.expect(";")?;
            return Ok(Statement::Assign { name, value, span });
        }
        let ty = self.type_name()?;
        let name = self.name()?;
        self.expect("=")?;
        let value = self.expression()?;
        self.expect(";")?;
        let ty = Some(ty).filter(|ty| ty.name != "var" || ty.is_array || !ty.arguments.is_empty());
        Ok(Statement::Declare { name, ty, value, span })
    }

    fn branch(&mut self) -> Parsed<Vec<Statement>> {
        if self.take("{") {
            let statements = self.statements()?;
            self.expect("}")?;
            return Ok(statements);
        }
        Ok(vec![self.deeper(Self::statement)?])
    }
}

fn is_string(ty: &TypeName) -> bool {
    !ty.is_array && ty.arguments.is_empty() && matches!(ty.name.as_str(), "string" | "String")
}

/// Whether `(Name)` in front of a value casts it rather than being a value in parentheses.
fn is_castable(ty: &TypeName) -> bool {
    const TYPES: [&str; 13] = [
        "string",
        "String",
        "bool",
        "Boolean",
        "int",
        "Int32",
        "double",
        "Double",
        "object",
        "DateTime",
        "TimeSpan",
        "X509Certificate2",
        "long",
    ];
    TYPES.contains(&ty.name.as_str())
}
