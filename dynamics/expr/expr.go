// Package expr is the language of equations: expressions over symbols, with dimensions, compiled into
// straight-line code together with their derivatives, and written as text, LaTeX and MathML.
package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"stirwatch/sensors/unit"
)

// opcode is one operation of an expression.
type opcode uint8

const (
	opLeaf opcode = iota // a symbol: parameter, input, state
	opConst
	OpAdd
	opSub
	opMul
	opDiv
	OpNeg
	opPow // constant exponent
	opMin
	opMax
	opAbs
	opExp
	opLog
	opSqrt
	opTanh
	opRamp // 0 below 0, 1 above 1, the argument between
)

// functions by name, with the number of arguments.
var functions = map[string]struct {
	op   opcode
	args int
}{
	"min": {opMin, 2}, "max": {opMax, 2}, "abs": {opAbs, 1}, "exp": {opExp, 1}, "log": {opLog, 1},
	"sqrt": {opSqrt, 1}, "tanh": {opTanh, 1}, "ramp": {opRamp, 1},
}

// Node is a parsed expression.
type Node struct {
	op   opcode
	a, b *Node
	val  float64 // of opConst; exponent of opPow
	name string  // of opLeaf
}

// maxExpression bounds the text and the depth of an expression.
const (
	maxExpression = 1000
	maxDepth      = 60
)

// parser reads expressions by recursive descent: sums of products of signed powers.
type parser struct {
	text  string
	at    int
	depth int
}

// Parse reads an expression over symbols, numbers, + - * / ^ ( ) and [functions].
func Parse(text string) (*Node, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("expression is longer than %d bytes", maxExpression)
	}
	p := &parser{text: text}
	n, err := p.sum()
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", text, err)
	}
	if p.space(); p.at < len(p.text) {
		return nil, fmt.Errorf("expression %q: unexpected %q at column %d", text, p.text[p.at:], p.at+1)
	}
	return n, nil
}

func (p *parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t' || p.text[p.at] == '\n') {
		p.at++
	}
}

// take consumes s if it is next.
func (p *parser) take(s string) bool {
	p.space()
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *parser) sum() (*Node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.product()
	for err == nil {
		op := OpAdd
		switch {
		case p.take("+"):
		case p.take("-"), p.take("−"):
			op = opSub
		default:
			return left, nil
		}
		var right *Node
		right, err = p.product()
		left = &Node{op: op, a: left, b: right}
	}
	return nil, err
}

func (p *parser) product() (*Node, error) {
	left, err := p.signed()
	for err == nil {
		op := opMul
		switch {
		case p.take("*"), p.take("·"):
		case p.take("/"):
			op = opDiv
		default:
			return left, nil
		}
		var right *Node
		right, err = p.signed()
		left = &Node{op: op, a: left, b: right}
	}
	return nil, err
}

func (p *parser) signed() (*Node, error) {
	minus := false
	for p.take("-") || p.take("−") {
		minus = !minus
	}
	n, err := p.power()
	if err == nil && minus {
		n = &Node{op: OpNeg, a: n}
	}
	return n, err
}

func (p *parser) power() (*Node, error) {
	base, err := p.atom()
	if err != nil || !p.take("^") {
		return base, err
	}
	sign := 1.0
	if p.take("-") {
		sign = -1
	}
	p.space()
	e, err := p.number()
	if err != nil {
		return nil, fmt.Errorf("after ^ a number is needed")
	}
	return &Node{op: opPow, a: base, val: sign * e}, nil
}

func (p *parser) number() (float64, error) {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("0123456789.", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at > start && p.at < len(p.text) && (p.text[p.at] == 'e' || p.text[p.at] == 'E') {
		end := p.at + 1
		if end < len(p.text) && (p.text[end] == '-' || p.text[end] == '+') {
			end++
		}
		if end < len(p.text) && p.text[end] >= '0' && p.text[end] <= '9' {
			for p.at = end; p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9'; p.at++ {
			}
		}
	}
	v, err := strconv.ParseFloat(p.text[start:p.at], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", p.text[start:p.at])
	}
	return v, nil
}

func (p *parser) atom() (*Node, error) {
	if p.take("(") {
		n, err := p.sum()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a ) is missing at column %d", p.at+1)
		}
		return n, err
	}
	p.space()
	if p.at == len(p.text) {
		return nil, fmt.Errorf("it ends too early")
	}
	if c := p.text[p.at]; c >= '0' && c <= '9' || c == '.' {
		v, err := p.number()
		return &Node{op: opConst, val: v}, err
	}
	start := p.at
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsLetter(r) && r != '_' && !(p.at > start && unicode.IsDigit(r)) {
			break
		}
		p.at += size
	}
	name := p.text[start:p.at]
	if name == "" {
		return nil, fmt.Errorf("unexpected %q at column %d", p.text[p.at:], p.at+1)
	}
	if !p.take("(") {
		return &Node{op: opLeaf, name: name}, nil
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("there is no function %q", name)
	}
	n := &Node{op: f.op}
	var err error
	if n.a, err = p.sum(); err != nil {
		return nil, err
	}
	if f.args == 2 {
		if !p.take(",") {
			return nil, fmt.Errorf("%s takes two arguments", name)
		}
		if n.b, err = p.sum(); err != nil {
			return nil, err
		}
	}
	if !p.take(")") {
		return nil, fmt.Errorf("a ) is missing at column %d", p.at+1)
	}
	return n, nil
}

// Symbol is the expression of a symbol alone.
func Symbol(name string) *Node { return &Node{op: opLeaf, name: name} }

// Times is a·b.
func Times(a, b *Node) *Node { return &Node{op: opMul, a: a, b: b} }

// Negative is −n.
func (n *Node) Negative() *Node { return &Node{op: OpNeg, a: n} }

// IsSymbol reports whether the expression is the symbol alone.
func (n *Node) IsSymbol(name string) bool { return n.op == opLeaf && n.name == name }

// IsZero reports whether the expression is the number 0.
func (n *Node) IsZero() bool { return n.op == opConst && n.val == 0 }

// IsSum reports whether the expression is a sum or a difference, which needs brackets as a factor.
func (n *Node) IsSum() bool { return n.op == OpAdd || n.op == opSub }

// IsFunction reports whether name is that of a function.
func IsFunction(name string) bool { return functions[name].args > 0 }

// Symbols calls fn for every symbol in the expression.
func (n *Node) Symbols(fn func(name string)) {
	if n == nil {
		return
	}
	if n.op == opLeaf {
		fn(n.name)
	}
	n.a.Symbols(fn)
	n.b.Symbols(fn)
}

// Dimension checks the expression and gives its dimension; of knows the symbols.
func (n *Node) Dimension(of func(string) (unit.Dimension, bool)) (unit.Dimension, error) {
	none := unit.None
	switch n.op {
	case opConst:
		return none, nil
	case opLeaf:
		d, ok := of(n.name)
		if !ok {
			return none, fmt.Errorf("symbol %q is unknown", n.name)
		}
		return d, nil
	}
	a, err := n.a.Dimension(of)
	if err != nil {
		return none, err
	}
	var b unit.Dimension
	if n.b != nil {
		if b, err = n.b.Dimension(of); err != nil {
			return none, err
		}
	}
	switch n.op {
	case OpAdd, opSub, opMin, opMax:
		if a != b {
			// A bare zero fits anything.
			if n.b.IsZero() {
				return a, nil
			}
			if n.a.IsZero() {
				return b, nil
			}
			return none, fmt.Errorf("%s and %s do not measure the same thing: %s and %s", n.a, n.b, a, b)
		}
		return a, nil
	case opMul:
		return a.Times(b), nil
	case opDiv:
		return a.Over(b), nil
	case OpNeg, opAbs:
		return a, nil
	case opPow, opSqrt:
		e := n.val
		if n.op == opSqrt {
			e = 0.5
		}
		if a == none {
			return none, nil
		}
		for i := range a {
			v := float64(a[i]) * e
			if v != math.Trunc(v) || math.Abs(v) > 100 {
				return none, fmt.Errorf("%s of %s has no dimension that can be written", n, a)
			}
			a[i] = int8(v)
		}
		return a, nil
	default: // exp, log, tanh, ramp
		if a != none {
			return none, fmt.Errorf("the argument of %s must be a plain number, it is in %s", n, a)
		}
		return none, nil
	}
}

// String writes the expression with the brackets that it needs.
func (n *Node) String() string {
	level := func(m *Node) int {
		switch m.op {
		case OpAdd, opSub:
			return 0
		case opMul, opDiv:
			return 1
		case OpNeg:
			return 2
		case opPow:
			return 3
		}
		return 4
	}
	in := func(m *Node, least int) string {
		if level(m) < least {
			return "(" + m.String() + ")"
		}
		return m.String()
	}
	switch n.op {
	case opLeaf:
		return n.name
	case opConst:
		return strconv.FormatFloat(n.val, 'g', -1, 64)
	case OpAdd:
		return in(n.a, 0) + " + " + in(n.b, 1)
	case opSub:
		return in(n.a, 0) + " - " + in(n.b, 1)
	case opMul:
		return in(n.a, 1) + "*" + in(n.b, 2)
	case opDiv:
		return in(n.a, 1) + "/" + in(n.b, 2)
	case OpNeg:
		return "-" + in(n.a, 2)
	case opPow:
		return in(n.a, 4) + "^" + strconv.FormatFloat(n.val, 'g', -1, 64)
	}
	for name, f := range functions {
		if f.op == n.op {
			if n.b != nil {
				return name + "(" + n.a.String() + ", " + n.b.String() + ")"
			}
			return name + "(" + n.a.String() + ")"
		}
	}
	return "?"
}

// MustParse is parseExpr of an expression that has been checked; it panics where it has not.
func MustParse(text string) *Node {
	n, err := Parse(text)
	if err != nil {
		panic("expr: " + err.Error())
	}
	return n
}
