package dynamics

import (
	"cmp"
	"math"
	"slices"
)

// Levels of a register: what its value depends on.
const (
	levelParam = iota // parameters alone
	levelDrive        // and inputs
	levelState        // and states
	levels
)

// Operations that only derivatives need.
const (
	opLess   opcode = 100 + iota // 1 where a ≤ b, else 0
	opSign                       // −1 below 0, else 1
	opInside                     // 1 between 0 and 1, else 0
)

// instr computes register dst from registers a and b.
type instr struct {
	op   opcode
	dst  int32
	a, b int32
	val  float64
}

// program is a set of expressions and their derivatives compiled into straight-line code over
// registers, equal parts computed once. Registers begin with the symbols, in the order given to
// newBuilder.
type program struct {
	regs  int
	code  [levels][]instr
	start []float64 // initial registers: constants are set, the rest is zero
}

// builder compiles expressions. Products are sorted by level, so that as much as can be is worked
// out once for all states.
type builder struct {
	p      program
	symbol map[string]int32
	level  []int
	known  map[instr]int32
	let    map[string]*node

	made  map[int32]instr // by register
	slope map[[2]int32]int32
	seeds map[[2]int32]int32 // given derivatives: of register by variable
}

// newBuilder makes a builder whose first registers are the parameters, inputs and states named.
func newBuilder(params, inputs, states []string, let map[string]*node) *builder {
	b := &builder{
		symbol: map[string]int32{}, known: map[instr]int32{}, let: let,
		made: map[int32]instr{}, slope: map[[2]int32]int32{}, seeds: map[[2]int32]int32{},
	}
	for level, names := range [][]string{params, inputs, states} {
		for _, n := range names {
			b.symbol[n] = b.reg(level)
		}
	}
	return b
}

func (b *builder) reg(level int) int32 {
	b.level = append(b.level, level)
	b.p.regs++
	b.p.start = append(b.p.start, 0)
	return int32(b.p.regs - 1)
}

// levelOf is the level of register r.
func (b *builder) levelOf(r int32) int { return b.level[r] }

// seed gives the derivative of register r by variable x, which the expressions do not tell.
func (b *builder) seed(r, x, derivative int32) { b.seeds[[2]int32{r, x}] = derivative }

// constant gives the register that holds v.
func (b *builder) constant(v float64) int32 {
	in := instr{op: opConst, val: v, a: -1, b: -1}
	if r, ok := b.known[in]; ok {
		return r
	}
	r := b.reg(levelParam)
	b.known[in] = r
	b.made[r] = in
	b.p.start[r] = v
	return r
}

// isConst tells if r holds the constant v.
func (b *builder) isConst(r int32, v float64) bool {
	in, ok := b.made[r]
	return ok && in.op == opConst && in.val == v
}

// emit gives the register of op over registers x and y (−1: none), with what is trivial left out.
func (b *builder) emit(op opcode, x, y int32, val float64) int32 {
	switch op {
	case opAdd:
		if b.isConst(x, 0) {
			return y
		}
		if b.isConst(y, 0) {
			return x
		}
	case opSub:
		if b.isConst(y, 0) {
			return x
		}
		if b.isConst(x, 0) {
			return b.emit(opNeg, y, -1, 0)
		}
	case opMul:
		switch {
		case b.isConst(x, 1):
			return y
		case b.isConst(y, 1):
			return x
		case b.isConst(x, 0), b.isConst(y, 0):
			return b.constant(0)
		}
	case opDiv:
		if b.isConst(y, 1) || b.isConst(x, 0) {
			return x
		}
	case opNeg:
		if in, ok := b.made[x]; ok && in.op == opNeg {
			return in.a
		}
	}
	if (op == opAdd || op == opMul || op == opMin || op == opMax) && x > y {
		x, y = y, x
	}
	in := instr{op: op, val: val, a: x, b: y}
	if r, ok := b.known[in]; ok {
		return r
	}
	level := b.level[x]
	if y >= 0 {
		level = max(level, b.level[y])
	}
	r := b.reg(level)
	b.known[in] = r
	in.dst = r
	b.made[r] = in
	b.p.code[level] = append(b.p.code[level], in)
	return r
}

// add compiles n and gives the register of its value. Symbols that are neither registers nor
// definitions are a fault of the caller, who has checked.
func (b *builder) add(n *node) int32 {
	switch n.op {
	case opLeaf:
		if r, ok := b.symbol[n.name]; ok {
			return r
		}
		r := b.add(b.let[n.name])
		b.symbol[n.name] = r
		return r
	case opConst:
		return b.constant(n.val)
	case opMul, opDiv, opNeg:
		return b.product(n)
	}
	x, y := b.add(n.a), int32(-1)
	if n.b != nil {
		y = b.add(n.b)
	}
	return b.emit(n.op, x, y, n.val)
}

// product compiles a chain of factors, those of the lowest level first.
func (b *builder) product(n *node) int32 {
	type factor struct {
		r    int32
		over bool
	}
	var factors []factor
	minus := false
	var gather func(n *node, over bool)
	gather = func(n *node, over bool) {
		switch n.op {
		case opMul, opDiv:
			gather(n.a, over)
			gather(n.b, over != (n.op == opDiv))
		case opNeg:
			minus = !minus
			gather(n.a, over)
		default:
			factors = append(factors, factor{b.add(n), over})
		}
	}
	gather(n, false)
	slices.SortStableFunc(factors, func(f, g factor) int {
		if c := cmp.Compare(b.level[f.r], b.level[g.r]); c != 0 {
			return c
		}
		return cmp.Compare(b2i(f.over), b2i(g.over))
	})
	r := b.constant(1)
	for _, f := range factors {
		if f.over {
			r = b.emit(opDiv, r, f.r, 0)
		} else {
			r = b.emit(opMul, r, f.r, 0)
		}
		if minus {
			r, minus = b.emit(opNeg, r, -1, 0), false
		}
	}
	return r
}

func b2i(v bool) int {
	if v {
		return 1
	}
	return 0
}

// derive gives the register of the derivative of r by the variable x, −1 where it is zero
// everywhere: symbolic differentiation over the compiled expressions, shared parts shared again.
func (b *builder) derive(r, x int32) int32 {
	if r == x {
		return b.constant(1)
	}
	key := [2]int32{r, x}
	if d, ok := b.seeds[key]; ok {
		return d
	}
	if d, ok := b.slope[key]; ok {
		return d
	}
	in, ok := b.made[r]
	if !ok || in.op == opConst {
		return -1
	}
	da, db := b.derive(in.a, x), int32(-1)
	if in.b >= 0 {
		db = b.derive(in.b, x)
	}
	d := int32(-1)
	if da >= 0 || db >= 0 {
		d = b.chain(in, r, da, db)
		if b.isConst(d, 0) {
			d = -1
		}
	}
	b.slope[key] = d
	return d
}

// chain is the rule of differentiation of one instruction, whose arguments have the derivatives da
// and db (−1: none).
func (b *builder) chain(in instr, r, da, db int32) int32 {
	times := func(x, y int32) int32 {
		if x < 0 || y < 0 {
			return -1
		}
		return b.emit(opMul, x, y, 0)
	}
	plus := func(x, y int32) int32 {
		switch {
		case x < 0:
			return y
		case y < 0:
			return x
		}
		return b.emit(opAdd, x, y, 0)
	}
	minus := func(x, y int32) int32 {
		switch {
		case y < 0:
			return x
		case x < 0:
			return b.emit(opNeg, y, -1, 0)
		}
		return b.emit(opSub, x, y, 0)
	}
	one := b.constant(1)
	switch in.op {
	case opAdd:
		return plus(da, db)
	case opSub:
		return minus(da, db)
	case opMul:
		return plus(times(da, in.b), times(in.a, db))
	case opDiv:
		if db < 0 {
			return b.emit(opDiv, da, in.b, 0)
		}
		return b.emit(opDiv, minus(da, times(r, db)), in.b, 0)
	case opNeg:
		return b.emit(opNeg, da, -1, 0)
	case opPow:
		return times(da, b.emit(opMul, b.constant(in.val), b.emit(opPow, in.a, -1, in.val-1), 0))
	case opMin, opMax:
		first := b.emit(opLess, in.a, in.b, 0)
		if in.op == opMax {
			first = b.emit(opLess, in.b, in.a, 0)
		}
		return plus(times(first, da), times(b.emit(opSub, one, first, 0), db))
	case opAbs:
		return times(b.emit(opSign, in.a, -1, 0), da)
	case opExp:
		return times(r, da)
	case opLog:
		return b.emit(opDiv, da, in.a, 0)
	case opSqrt:
		return b.emit(opDiv, times(da, b.constant(0.5)), r, 0)
	case opTanh:
		return times(da, b.emit(opSub, one, b.emit(opMul, r, r, 0), 0))
	case opRamp:
		return times(da, b.emit(opInside, in.a, -1, 0))
	}
	return -1 // steps: flat wherever they have a derivative
}

// schedule puts code into an order in which equal operations stand together as far as what they need
// allows, which [eval] runs faster: it reads an operation once for all of a row.
func schedule(code []instr) {
	made := map[int32]int{} // register: the instruction that makes it
	for i, c := range code {
		made[c.dst] = i
	}
	waits := make([]int, len(code)) // for so many others
	users := make([][]int, len(code))
	ready := map[opcode][]int{}
	for i, c := range code {
		for _, r := range []int32{c.a, c.b} {
			if from, ok := made[r]; ok && r >= 0 {
				waits[i]++
				users[from] = append(users[from], i)
			}
		}
		if waits[i] == 0 {
			ready[c.op] = append(ready[c.op], i)
		}
	}
	out := make([]instr, 0, len(code))
	for len(out) < len(code) {
		op, most := opcode(0), 0
		for o, list := range ready {
			if len(list) > most || len(list) == most && o < op {
				op, most = o, len(list)
			}
		}
		for len(ready[op]) > 0 {
			i := ready[op][0]
			ready[op] = ready[op][1:]
			out = append(out, code[i])
			for _, u := range users[i] {
				if waits[u]--; waits[u] == 0 {
					ready[code[u].op] = append(ready[code[u].op], u)
				}
			}
		}
	}
	copy(code, out)
}

// eval runs code over registers v.
func eval(code []instr, v []float64) {
	for i := 0; i < len(code); i++ {
		c := &code[i]
		switch c.op {
		case opMul:
			for v[c.dst] = v[c.a] * v[c.b]; i+1 < len(code) && code[i+1].op == opMul; {
				i++
				c = &code[i]
				v[c.dst] = v[c.a] * v[c.b]
			}
		case opAdd:
			for v[c.dst] = v[c.a] + v[c.b]; i+1 < len(code) && code[i+1].op == opAdd; {
				i++
				c = &code[i]
				v[c.dst] = v[c.a] + v[c.b]
			}
		case opSub:
			v[c.dst] = v[c.a] - v[c.b]
		case opNeg:
			v[c.dst] = -v[c.a]
		case opDiv:
			v[c.dst] = v[c.a] / v[c.b]
		default:
			v[c.dst] = c.value(v)
		}
	}
}

// value is that of the rarer operations.
func (c *instr) value(v []float64) float64 {
	x := v[c.a]
	switch c.op {
	case opPow:
		return math.Pow(x, c.val)
	case opMin:
		return min(x, v[c.b])
	case opMax:
		return max(x, v[c.b])
	case opAbs:
		return math.Abs(x)
	case opExp:
		return math.Exp(x)
	case opLog:
		return math.Log(x)
	case opSqrt:
		return math.Sqrt(x)
	case opTanh:
		return math.Tanh(x)
	case opRamp:
		return min(1, max(0, x))
	case opLess:
		return float64(b2i(x <= v[c.b]))
	case opSign:
		return math.Copysign(1, x)
	case opInside:
		return float64(b2i(x > 0 && x < 1))
	}
	return x
}
