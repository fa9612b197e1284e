package expr

import (
	"fmt"
	"math"
	"strings"

	"stirwatch/sensors/unit"
)

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

// MustUnit is ParseUnit of a unit that has been checked; it panics where it has not.
func MustUnit(name string) unit.Unit {
	u, err := ParseUnit(name)
	if err != nil {
		panic("expr: " + err.Error())
	}
	return u
}
