package expr

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"stirwatch/dynamics/num"
)

// LaTeXNumber writes powers of ten as such.
func LaTeXNumber(text string) string {
	return powers.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.Atoi(s[1:])
		return fmt.Sprintf(`\cdot 10^{%d}`, n)
	})
}

var powers = regexp.MustCompile(`e[+-]\d+`)

// LaTeXName writes a symbol: what follows the first letter stands below it.
func LaTeXName(name string) string {
	r := []rune(name)
	if len(r) == 1 {
		return name
	}
	if i := strings.IndexByte(name, '_'); i > 0 && i+1 < len(name) {
		greek := name[:i]
		if greek == "tau" {
			greek = `\tau`
		}
		return greek + `_{\mathrm{` + strings.ReplaceAll(name[i+1:], "_", `\_`) + `}}`
	}
	if len(r) <= 3 && r[0] < 'a' {
		return string(r[0]) + `_{\mathrm{` + string(r[1:]) + `}}`
	}
	return `\mathrm{` + name + `}`
}

// LaTeX writes an expression.
func (n *Node) LaTeX() string {
	bracket := func(m *Node, least int) string {
		level := 4
		switch m.op {
		case OpAdd, opSub:
			level = 0
		case opMul:
			level = 1
		case OpNeg:
			level = 2
		}
		if level < least {
			return `\left(` + m.LaTeX() + `\right)`
		}
		return m.LaTeX()
	}
	switch n.op {
	case opLeaf:
		return LaTeXName(n.name)
	case opConst:
		return strconv.FormatFloat(n.val, 'g', -1, 64)
	case OpAdd:
		return bracket(n.a, 0) + " + " + bracket(n.b, 1)
	case opSub:
		return bracket(n.a, 0) + " - " + bracket(n.b, 1)
	case opMul:
		return bracket(n.a, 1) + `\,` + bracket(n.b, 2)
	case opDiv:
		return `\frac{` + n.a.LaTeX() + `}{` + n.b.LaTeX() + `}`
	case OpNeg:
		return "-" + bracket(n.a, 2)
	case opPow:
		return bracket(n.a, 4) + "^{" + strconv.FormatFloat(n.val, 'g', -1, 64) + "}"
	case opAbs:
		return `\left|` + n.a.LaTeX() + `\right|`
	case opSqrt:
		return `\sqrt{` + n.a.LaTeX() + `}`
	}
	name := ""
	for _, f := range num.SortedKeys(functions) {
		if functions[f].op == n.op {
			name = f
		}
	}
	args := n.a.LaTeX()
	if n.b != nil {
		args += ",\\, " + n.b.LaTeX()
	}
	switch name {
	case "ramp":
		name = `\operatorname{ramp}`
	default:
		name = `\` + name
	}
	return name + `\left(` + args + `\right)`
}
