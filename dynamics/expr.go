package dynamics

import (
	"fmt"
	"math"
	"slices"
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
	opAdd
	opSub
	opMul
	opDiv
	opNeg
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

// node is a parsed expression.
type node struct {
	op   opcode
	a, b *node
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

// parseExpr reads an expression over symbols, numbers, + - * / ^ ( ) and [functions].
func parseExpr(text string) (*node, error) {
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

func (p *parser) sum() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.product()
	for err == nil {
		op := opAdd
		switch {
		case p.take("+"):
		case p.take("-"), p.take("−"):
			op = opSub
		default:
			return left, nil
		}
		var right *node
		right, err = p.product()
		left = &node{op: op, a: left, b: right}
	}
	return nil, err
}

func (p *parser) product() (*node, error) {
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
		var right *node
		right, err = p.signed()
		left = &node{op: op, a: left, b: right}
	}
	return nil, err
}

func (p *parser) signed() (*node, error) {
	minus := false
	for p.take("-") || p.take("−") {
		minus = !minus
	}
	n, err := p.power()
	if err == nil && minus {
		n = &node{op: opNeg, a: n}
	}
	return n, err
}

func (p *parser) power() (*node, error) {
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
	return &node{op: opPow, a: base, val: sign * e}, nil
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

func (p *parser) atom() (*node, error) {
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
		return &node{op: opConst, val: v}, err
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
		return &node{op: opLeaf, name: name}, nil
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("there is no function %q", name)
	}
	n := &node{op: f.op}
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

// symbolNode is the expression of a symbol alone.
func symbolNode(name string) *node { return &node{op: opLeaf, name: name} }

// times is a·b.
func times(a, b *node) *node { return &node{op: opMul, a: a, b: b} }

// negative is −n.
func (n *node) negative() *node { return &node{op: opNeg, a: n} }

// isSymbol tells if the expression is the symbol alone.
func (n *node) isSymbol(name string) bool { return n.op == opLeaf && n.name == name }

// isZero tells if the expression is the number 0.
func (n *node) isZero() bool { return n.op == opConst && n.val == 0 }

// isSum tells if the expression is a sum or a difference, which needs brackets as a factor.
func (n *node) isSum() bool { return n.op == opAdd || n.op == opSub }

// isFunction tells if name is that of a function.
func isFunction(name string) bool { return functions[name].args > 0 }

// symbols calls fn for every symbol in the expression.
func (n *node) symbols(fn func(name string)) {
	if n == nil {
		return
	}
	if n.op == opLeaf {
		fn(n.name)
	}
	n.a.symbols(fn)
	n.b.symbols(fn)
}

// dimension checks the expression and gives its dimension; of knows the symbols.
func (n *node) dimension(of func(string) (unit.Dimension, bool)) (unit.Dimension, error) {
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
	a, err := n.a.dimension(of)
	if err != nil {
		return none, err
	}
	var b unit.Dimension
	if n.b != nil {
		if b, err = n.b.dimension(of); err != nil {
			return none, err
		}
	}
	switch n.op {
	case opAdd, opSub, opMin, opMax:
		if a != b {
			// A bare zero fits anything.
			if n.b.isZero() {
				return a, nil
			}
			if n.a.isZero() {
				return b, nil
			}
			return none, fmt.Errorf("%s and %s do not measure the same thing: %s and %s", n.a, n.b, a, b)
		}
		return a, nil
	case opMul:
		return a.Times(b), nil
	case opDiv:
		return a.Over(b), nil
	case opNeg, opAbs:
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
func (n *node) String() string {
	level := func(m *node) int {
		switch m.op {
		case opAdd, opSub:
			return 0
		case opMul, opDiv:
			return 1
		case opNeg:
			return 2
		case opPow:
			return 3
		}
		return 4
	}
	in := func(m *node, least int) string {
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
	case opAdd:
		return in(n.a, 0) + " + " + in(n.b, 1)
	case opSub:
		return in(n.a, 0) + " - " + in(n.b, 1)
	case opMul:
		return in(n.a, 1) + "*" + in(n.b, 2)
	case opDiv:
		return in(n.a, 1) + "/" + in(n.b, 2)
	case opNeg:
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

// ParseUnit reads a product of units of the table, e.g. "1/s", "W", "1/(s·mm/min)", "kg^2/s^3".
// Within a product a temperature is a difference: no offset. A unit that the table does not have is an error.
func ParseUnit(text string) (unit.Unit, error) {
	if u, err := unit.Parse(text); err == nil {
		return u, nil
	}
	if len(text) > 100 {
		return unit.Unit{}, fmt.Errorf("unit is longer than 100 bytes")
	}
	p := &unitParser{rest: text}
	u, err := p.product()
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("unexpected %q", p.rest)
	}
	if err != nil {
		return unit.Unit{}, fmt.Errorf("unit %q: %w", text, err)
	}
	u.Symbol = text
	return u, nil
}

type unitParser struct {
	rest  string
	depth int
}

func (p *unitParser) take(s string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	if strings.HasPrefix(p.rest, s) {
		p.rest = p.rest[len(s):]
		return true
	}
	return false
}

func (p *unitParser) product() (unit.Unit, error) {
	if p.depth++; p.depth > 10 {
		return unit.Unit{}, fmt.Errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	u, err := p.factor()
	for err == nil {
		var v unit.Unit
		switch {
		case p.take("·"), p.take("*"):
			if v, err = p.factor(); err == nil {
				u.Dim, u.Scale = u.Dim.Times(v.Dim), u.Scale*v.Scale
			}
		case p.take("/"):
			if v, err = p.factor(); err == nil {
				u.Dim, u.Scale = u.Dim.Over(v.Dim), u.Scale/v.Scale
			}
		default:
			return u, nil
		}
	}
	return u, err
}

func (p *unitParser) factor() (unit.Unit, error) {
	var u unit.Unit
	if p.take("(") {
		v, err := p.product()
		if err != nil {
			return u, err
		}
		if !p.take(")") {
			return u, fmt.Errorf("a ) is missing")
		}
		u = v
	} else {
		p.rest = strings.TrimLeft(p.rest, " ")
		end := strings.IndexAny(p.rest, "*/^() ")
		if dot := strings.Index(p.rest, "·"); dot >= 0 && (end < 0 || dot < end) {
			end = dot
		}
		if end < 0 {
			end = len(p.rest)
		}
		name := p.rest[:end]
		if name == "" {
			return u, fmt.Errorf("it ends too early")
		}
		p.rest = p.rest[end:]
		if name == "J" {
			u = unit.Unit{Dim: unit.Power.Times(unit.Time), Scale: 1}
		} else {
			v, err := unit.Parse(name)
			if err != nil {
				return u, err
			}
			u = v
		}
	}
	u.Offset = 0
	if p.take("^") {
		sign := 1
		if p.take("-") {
			sign = -1
		}
		if len(p.rest) == 0 || p.rest[0] < '1' || p.rest[0] > '9' {
			return u, fmt.Errorf("after ^ a digit is needed")
		}
		e := sign * int(p.rest[0]-'0')
		p.rest = p.rest[1:]
		for i := range u.Dim {
			u.Dim[i] *= int8(e)
		}
		u.Scale = math.Pow(u.Scale, float64(e))
	}
	return u, nil
}

// sortedKeys gives the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// mustUnit is ParseUnit of a unit that has been checked; it panics where it has not.
func mustUnit(name string) unit.Unit {
	u, err := ParseUnit(name)
	if err != nil {
		panic("expr: " + err.Error())
	}
	return u
}

// mustParse is parseExpr of an expression that has been checked; it panics where it has not.
func mustParse(text string) *node {
	n, err := parseExpr(text)
	if err != nil {
		panic("expr: " + err.Error())
	}
	return n
}
