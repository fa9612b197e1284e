package expr

import (
	"cmp"
	"math"
	"slices"

	"stirwatch/dynamics/num"
)

// Levels of a register: what its value depends on.
const (
	LevelParam = iota // parameters alone
	LevelDrive        // and inputs
	LevelState        // and states
	levels
)

// Operations that only derivatives need.
const (
	opLess   opcode = 100 + iota // 1 where a ≤ b, else 0
	opSign                       // −1 below 0, else 1
	opInside                     // 1 between 0 and 1, else 0
)

// Instruction computes register dst from registers a and b.
type Instruction struct {
	op   opcode
	dst  int32
	A, B int32
	row  int32 // how many from here on have the same operation, as far as [Schedule] knows
	val  float64
}

// Program is a set of expressions and their derivatives compiled into straight-line code over
// registers, equal parts computed once. Registers begin with the symbols, in the order given to
// newBuilder.
type Program struct {
	Regs  int
	Code  [levels][]Instruction
	Start []float64 // initial registers: constants are set, the rest is zero
}

// Builder compiles expressions. Products are sorted by level, so that as much as can be is worked
// out once for all states.
type Builder struct {
	Program Program
	symbol  map[string]int32
	levels  []int
	known   map[Instruction]int32
	let     map[string]*Node

	made  map[int32]Instruction // by register
	slope map[[2]int32]int32
	seeds map[[2]int32]int32 // given derivatives: of register by variable
}

// NewBuilder makes a builder whose first registers are the parameters, inputs and states named.
func NewBuilder(params, inputs, states []string, let map[string]*Node) *Builder {
	b := &Builder{
		symbol: map[string]int32{}, known: map[Instruction]int32{}, let: let,
		made: map[int32]Instruction{}, slope: map[[2]int32]int32{}, seeds: map[[2]int32]int32{},
	}
	for level, names := range [][]string{params, inputs, states} {
		for _, n := range names {
			b.symbol[n] = b.Register(level)
		}
	}
	return b
}

// Register makes a register of a level, which no code of the builder sets.
func (b *Builder) Register(level int) int32 {
	b.levels = append(b.levels, level)
	b.Program.Regs++
	b.Program.Start = append(b.Program.Start, 0)
	return int32(b.Program.Regs - 1)
}

// Level is the level of register r.
func (b *Builder) Level(r int32) int { return b.levels[r] }

// Seed gives the derivative of register r by variable x, which the expressions do not tell.
func (b *Builder) Seed(r, x, derivative int32) { b.seeds[[2]int32{r, x}] = derivative }

// Constant gives the register that holds v.
func (b *Builder) Constant(v float64) int32 {
	in := Instruction{op: opConst, val: v, A: -1, B: -1}
	if r, ok := b.known[in]; ok {
		return r
	}
	r := b.Register(LevelParam)
	b.known[in] = r
	b.made[r] = in
	b.Program.Start[r] = v
	return r
}

// isConst reports whether r holds the constant v.
func (b *Builder) isConst(r int32, v float64) bool {
	in, ok := b.made[r]
	return ok && in.op == opConst && in.val == v
}

// Emit gives the register of op over registers x and y (−1: none), with what is trivial left out.
func (b *Builder) Emit(op opcode, x, y int32, val float64) int32 {
	switch op {
	case OpAdd:
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
			return b.Emit(OpNeg, y, -1, 0)
		}
	case opMul:
		switch {
		case b.isConst(x, 1):
			return y
		case b.isConst(y, 1):
			return x
		case b.isConst(x, 0), b.isConst(y, 0):
			return b.Constant(0)
		}
	case opDiv:
		if b.isConst(y, 1) || b.isConst(x, 0) {
			return x
		}
	case OpNeg:
		if in, ok := b.made[x]; ok && in.op == OpNeg {
			return in.A
		}
	}
	if (op == OpAdd || op == opMul || op == opMin || op == opMax) && x > y {
		x, y = y, x
	}
	in := Instruction{op: op, val: val, A: x, B: y}
	if r, ok := b.known[in]; ok {
		return r
	}
	level := b.levels[x]
	if y >= 0 {
		level = max(level, b.levels[y])
	}
	r := b.Register(level)
	b.known[in] = r
	in.dst, in.row = r, 1
	b.made[r] = in
	b.Program.Code[level] = append(b.Program.Code[level], in)
	return r
}

// Add compiles n and gives the register of its value. Symbols that are neither registers nor
// definitions are a fault of the caller, who has checked.
func (b *Builder) Add(n *Node) int32 {
	switch n.op {
	case opLeaf:
		if r, ok := b.symbol[n.name]; ok {
			return r
		}
		r := b.Add(b.let[n.name])
		b.symbol[n.name] = r
		return r
	case opConst:
		return b.Constant(n.val)
	case opMul, opDiv, OpNeg:
		return b.product(n)
	}
	x, y := b.Add(n.a), int32(-1)
	if n.b != nil {
		y = b.Add(n.b)
	}
	return b.Emit(n.op, x, y, n.val)
}

// product compiles a chain of factors, those of the lowest level first.
func (b *Builder) product(n *Node) int32 {
	type factor struct {
		r    int32
		over bool
	}
	var factors []factor
	minus := false
	var gather func(n *Node, over bool)
	gather = func(n *Node, over bool) {
		switch n.op {
		case opMul, opDiv:
			gather(n.a, over)
			gather(n.b, over != (n.op == opDiv))
		case OpNeg:
			minus = !minus
			gather(n.a, over)
		default:
			factors = append(factors, factor{b.Add(n), over})
		}
	}
	gather(n, false)
	slices.SortStableFunc(factors, func(f, g factor) int {
		if c := cmp.Compare(b.levels[f.r], b.levels[g.r]); c != 0 {
			return c
		}
		return cmp.Compare(num.B2i(f.over), num.B2i(g.over))
	})
	r := b.Constant(1)
	for _, f := range factors {
		if f.over {
			r = b.Emit(opDiv, r, f.r, 0)
		} else {
			r = b.Emit(opMul, r, f.r, 0)
		}
		if minus {
			r, minus = b.Emit(OpNeg, r, -1, 0), false
		}
	}
	return r
}

// Derive gives the register of the derivative of r by the variable x, −1 where it is zero
// everywhere: symbolic differentiation over the compiled expressions, shared parts shared again.
func (b *Builder) Derive(r, x int32) int32 {
	if r == x {
		return b.Constant(1)
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
	da, db := b.Derive(in.A, x), int32(-1)
	if in.B >= 0 {
		db = b.Derive(in.B, x)
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
func (b *Builder) chain(in Instruction, r, da, db int32) int32 {
	times := func(x, y int32) int32 {
		if x < 0 || y < 0 {
			return -1
		}
		return b.Emit(opMul, x, y, 0)
	}
	plus := func(x, y int32) int32 {
		switch {
		case x < 0:
			return y
		case y < 0:
			return x
		}
		return b.Emit(OpAdd, x, y, 0)
	}
	minus := func(x, y int32) int32 {
		switch {
		case y < 0:
			return x
		case x < 0:
			return b.Emit(OpNeg, y, -1, 0)
		}
		return b.Emit(opSub, x, y, 0)
	}
	one := b.Constant(1)
	switch in.op {
	case OpAdd:
		return plus(da, db)
	case opSub:
		return minus(da, db)
	case opMul:
		return plus(times(da, in.B), times(in.A, db))
	case opDiv:
		if db < 0 {
			return b.Emit(opDiv, da, in.B, 0)
		}
		return b.Emit(opDiv, minus(da, times(r, db)), in.B, 0)
	case OpNeg:
		return b.Emit(OpNeg, da, -1, 0)
	case opPow:
		return times(da, b.Emit(opMul, b.Constant(in.val), b.Emit(opPow, in.A, -1, in.val-1), 0))
	case opMin, opMax:
		first := b.Emit(opLess, in.A, in.B, 0)
		if in.op == opMax {
			first = b.Emit(opLess, in.B, in.A, 0)
		}
		return plus(times(first, da), times(b.Emit(opSub, one, first, 0), db))
	case opAbs:
		return times(b.Emit(opSign, in.A, -1, 0), da)
	case opExp:
		return times(r, da)
	case opLog:
		return b.Emit(opDiv, da, in.A, 0)
	case opSqrt:
		return b.Emit(opDiv, times(da, b.Constant(0.5)), r, 0)
	case opTanh:
		return times(da, b.Emit(opSub, one, b.Emit(opMul, r, r, 0), 0))
	case opRamp:
		return times(da, b.Emit(opInside, in.A, -1, 0))
	}
	return -1 // steps: flat wherever they have a derivative
}

// Schedule puts code into an order in which equal operations stand together as far as what they need
// allows, which [Eval] runs faster: it reads an operation once for all of a row.
func Schedule(code []Instruction) {
	made := map[int32]int{} // register: the instruction that makes it
	for i, c := range code {
		made[c.dst] = i
	}
	waits := make([]int, len(code)) // for so many others
	users := make([][]int, len(code))
	ready := map[opcode][]int{}
	for i, c := range code {
		for _, r := range []int32{c.A, c.B} {
			if from, ok := made[r]; ok && r >= 0 {
				waits[i]++
				users[from] = append(users[from], i)
			}
		}
		if waits[i] == 0 {
			ready[c.op] = append(ready[c.op], i)
		}
	}
	out := make([]Instruction, 0, len(code))
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
	for i := len(code) - 1; i >= 0; i-- {
		code[i].row = 1
		if i+1 < len(code) && code[i+1].op == code[i].op {
			code[i].row += code[i+1].row
		}
	}
}

// Eval runs code over registers v.
func Eval(code []Instruction, v []float64) {
	for len(code) > 0 {
		row := code[:code[0].row]
		code = code[len(row):]
		switch row[0].op {
		case opMul:
			for i := range row {
				c := &row[i]
				v[c.dst] = v[c.A] * v[c.B]
			}
		case OpAdd:
			for i := range row {
				c := &row[i]
				v[c.dst] = v[c.A] + v[c.B]
			}
		case opSub:
			for i := range row {
				c := &row[i]
				v[c.dst] = v[c.A] - v[c.B]
			}
		case OpNeg:
			for i := range row {
				v[row[i].dst] = -v[row[i].A]
			}
		case opDiv:
			for i := range row {
				c := &row[i]
				v[c.dst] = v[c.A] / v[c.B]
			}
		default:
			for i := range row {
				v[row[i].dst] = row[i].value(v)
			}
		}
	}
}

// value is that of the rarer operations.
func (c *Instruction) value(v []float64) float64 {
	x := v[c.A]
	switch c.op {
	case opPow:
		return math.Pow(x, c.val)
	case opMin:
		return min(x, v[c.B])
	case opMax:
		return max(x, v[c.B])
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
		return float64(num.B2i(x <= v[c.B]))
	case opSign:
		return math.Copysign(1, x)
	case opInside:
		return float64(num.B2i(x > 0 && x < 1))
	}
	return x
}
