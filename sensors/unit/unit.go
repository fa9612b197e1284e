// Package unit is the one table of physical units that every room may import.
//
// A unit is affine in the coherent SI unit of its dimension: si = Scale·v + Offset.
// Values keep the unit that their channel declares; conversion happens at the edges,
// through [Between].
package unit

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Dimension holds the exponents of length, mass, time, current, temperature and angle.
// Angle is kept apart (it is dimensionless in SI) so that rpm and Hz are not mixed up.
type Dimension [6]int8

// String prints the dimension in base units, "1" when there is none, e.g. "m·kg·s^-3" for power.
func (d Dimension) String() string {
	var parts []string
	for i, sym := range [...]string{"m", "kg", "s", "A", "K", "rad"} {
		switch {
		case d[i] == 1:
			parts = append(parts, sym)
		case d[i] != 0:
			parts = append(parts, sym+"^"+strconv.Itoa(int(d[i])))
		}
	}
	if len(parts) == 0 {
		return "1"
	}
	return strings.Join(parts, "·")
}

// Times is the dimension of a product of two quantities.
func (d Dimension) Times(e Dimension) Dimension {
	for i := range d {
		d[i] += e[i]
	}
	return d
}

// Over is the dimension of a quotient.
func (d Dimension) Over(e Dimension) Dimension {
	for i := range d {
		d[i] -= e[i]
	}
	return d
}

// Dimensions that the configuration and the models ask for.
var (
	None        = Dimension{}
	Length      = Dimension{0: 1}
	Mass        = Dimension{1: 1}
	Time        = Dimension{2: 1}
	Current     = Dimension{3: 1}
	Temperature = Dimension{4: 1}
	Angle       = Dimension{5: 1}
	Frequency   = Dimension{2: -1}
	Speed       = Dimension{0: 1, 2: -1}
	Accel       = Dimension{0: 1, 2: -2}
	AngularRate = Dimension{2: -1, 5: 1}
	Heating     = Dimension{2: -1, 4: 1}
	Force       = Dimension{0: 1, 1: 1, 2: -2}
	Torque      = Dimension{0: 2, 1: 1, 2: -2, 5: -1}
	Power       = Dimension{0: 2, 1: 1, 2: -3}
	Pressure    = Dimension{0: -1, 1: 1, 2: -2}
	Flow        = Dimension{0: 3, 2: -1}
	Voltage     = Dimension{0: 2, 1: 1, 2: -3, 3: -1}
)

// Unit is one entry of the table. The zero Unit is the plain number, symbol "1" once parsed.
type Unit struct {
	Symbol        string
	Dim           Dimension
	Scale, Offset float64 // si = Scale·v + Offset
}

const (
	inch      = 0.0254
	foot      = 0.3048
	poundF    = 4.4482216152605 // lbf in N: 0.45359237 kg · 9.80665 m/s², both exact
	gravity   = 9.80665
	gallon    = 3.785411784e-3 // m³, of the United States
	mercury   = 133.322387415  // Pa of a millimetre of it
	horse     = 75 * gravity   // W, metric
	btu       = 1055.05585262  // J, of the International Table
	perMinute = 1.0 / 60
)

// entry is a unit and other names of it.
type entry struct {
	Unit
	also []string
}

// table lists every unit once; the names after the symbol are accepted spellings of it.
// Conversion factors: BIPM SI brochure (9th ed.) and NIST SP 811, appendix B.8.
var table = []entry{
	{Unit{"1", None, 1, 0}, []string{"", "none", "-"}},
	{Unit{"%", None, 0.01, 0}, []string{"percent", "pct", "％", "vol%", "vol.%", "vol-%", "vol.-%", "% vol", "%RH", "% RH", "RH%", "% r.H.", "%rF", "% rF"}},
	{Unit{"m", Length, 1, 0}, []string{"meter", "metre", "meters", "metres"}},
	{Unit{"mm", Length, 1e-3, 0}, []string{"millimeter", "millimetre", "millimeters", "millimetres"}},
	{Unit{"µm", Length, 1e-6, 0}, []string{"um", "micron", "microns"}},
	{Unit{"cm", Length, 1e-2, 0}, nil},
	{Unit{"in", Length, inch, 0}, []string{"inch", "inches", "\"", "''", "″", "”"}},
	{Unit{"ft", Length, foot, 0}, nil},
	{Unit{"kg", Mass, 1, 0}, nil},
	{Unit{"s", Time, 1, 0}, []string{"sec", "secs", "second", "seconds"}},
	{Unit{"ms", Time, 1e-3, 0}, []string{"msec"}},
	{Unit{"min", Time, 60, 0}, []string{"minute", "minutes"}},
	{Unit{"h", Time, 3600, 0}, []string{"hr", "hour", "hours"}},
	{Unit{"A", Current, 1, 0}, []string{"amp", "amps", "ampere", "amperes"}},
	{Unit{"mA", Current, 1e-3, 0}, []string{"milliamp", "milliamps"}},
	{Unit{"V", Voltage, 1, 0}, []string{"volt", "volts"}},
	{Unit{"mV", Voltage, 1e-3, 0}, []string{"millivolt", "millivolts"}},
	{Unit{"K", Temperature, 1, 0}, []string{"kelvin", "Kelvin", "°K", "degK", "deg K"}},
	{Unit{"°C", Temperature, 1, 273.15}, []string{"degC", "C", "oC", "celsius", "Celsius", "celcius", "deg_c", "deg C", "deg. C", "deg.C", "° C", "degrees C", "degree C", "°Celsius", "degrees Celsius", "degree Celsius", "Grad C", "grad C", "Grad Celsius", "C°", "'C", "*C", "Cel"}},
	{Unit{"°F", Temperature, 5.0 / 9, 459.67 * 5 / 9}, []string{"degF", "F", "oF", "fahrenheit", "Fahrenheit", "deg_f", "deg F", "deg. F", "deg.F", "° F", "degrees F", "degree F", "°Fahrenheit", "degrees Fahrenheit", "F°", "'F", "*F", "Fahr"}},
	{Unit{"rad", Angle, 1, 0}, nil},
	{Unit{"deg", Angle, math.Pi / 180, 0}, []string{"°"}},
	{Unit{"rev", Angle, 2 * math.Pi, 0}, nil},
	{Unit{"Hz", Frequency, 1, 0}, []string{"1/s", "s^-1"}},
	{Unit{"kHz", Frequency, 1e3, 0}, nil},
	{Unit{"m/s", Speed, 1, 0}, []string{"m/sec"}},
	{Unit{"mm/s", Speed, 1e-3, 0}, []string{"mm/sec"}},
	{Unit{"mm/min", Speed, 1e-3 * perMinute, 0}, []string{"mm/mn", "mmpm"}},
	{Unit{"m/min", Speed, perMinute, 0}, nil},
	{Unit{"ft/min", Speed, foot * perMinute, 0}, []string{"fpm", "sfm"}},
	{Unit{"in/min", Speed, inch * perMinute, 0}, []string{"inch/min", "ipm", "IPM", "in./min", "inches/min", "inches per minute"}},
	{Unit{"in/s", Speed, inch, 0}, []string{"inch/s", "in/sec", "inch/sec", "inches/s", "ips"}},
	{Unit{"m/s²", Accel, 1, 0}, []string{"m/s2", "m·s^-2"}},
	{Unit{"g", Accel, gravity, 0}, nil},
	{Unit{"rad/s", AngularRate, 1, 0}, nil},
	{Unit{"rpm", AngularRate, 2 * math.Pi * perMinute, 0}, []string{"1/min", "rev/min", "U/min", "RPM", "Rpm", "r/min", "r.p.m.", "r.p.m", "revs/min", "rotations/min", "min^-1", "min-1", "/min", "Upm", "UPM", "U/Min", "Umdr/min", "tr/min", "tr/mn", "ot/min", "obr/min", "giri/min", "rev/minute", "об/мин", "回転/分", "转/分"}},
	{Unit{"rev/s", AngularRate, 2 * math.Pi, 0}, []string{"rps", "r/s", "U/s"}},
	{Unit{"K/s", Heating, 1, 0}, []string{"°C/s", "degC/s", "C/s"}},
	{Unit{"K/min", Heating, perMinute, 0}, []string{"°C/min", "degC/min", "C/min"}},
	{Unit{"rpm/s", AngularRate.Over(Time), 2 * math.Pi * perMinute, 0}, nil},
	{Unit{"N", Force, 1, 0}, []string{"newton", "newtons"}},
	{Unit{"kN", Force, 1e3, 0}, []string{"kilonewton", "kilonewtons"}},
	{Unit{"daN", Force, 10, 0}, nil},
	{Unit{"kgf", Force, gravity, 0}, []string{"kp", "kg-f"}},
	{Unit{"lbf", Force, poundF, 0}, []string{"lb", "lbs", "lb-f", "lbsf", "pounds"}},
	{Unit{"N·m", Torque, 1, 0}, []string{"Nm", "NM", "N.m", "N m", "N-m", "newton meter", "newton metre", "newton meters", "newton metres"}},
	{Unit{"kN·m", Torque, 1e3, 0}, []string{"kNm", "kN.m", "kN m", "kN-m"}},
	{Unit{"ft·lbf", Torque, foot * poundF, 0}, []string{"ftlbf", "ft.lbf", "ft-lbf", "ft lbf", "lbf·ft", "lbf-ft", "lbf ft", "ft·lb", "ft-lb", "ft lb", "lb·ft", "ftlb", "ftlbs", "ft·lbs", "lbft", "lbs·ft", "foot-pounds", "foot pounds"}},
	{Unit{"in·lbf", Torque, inch * poundF, 0}, []string{"in-lbf", "in lbf", "lbf·in", "lbf-in", "in·lb", "in·lbs", "inlb", "inlbs", "lb·in", "lbs·in", "inch-pounds"}},
	{Unit{"W", Power, 1, 0}, []string{"watt", "Watt", "watts"}},
	{Unit{"mW", Power, 1e-3, 0}, nil},
	{Unit{"kW", Power, 1e3, 0}, []string{"KW", "kilowatt", "kilowatts"}},
	{Unit{"MW", Power, 1e6, 0}, nil},
	{Unit{"BTU/h", Power, btu / 3600, 0}, []string{"BTU/hr"}},
	{Unit{"hp", Power, 550 * foot * poundF, 0}, []string{"HP", "Hp"}},
	{Unit{"Pa", Pressure, 1, 0}, []string{"pascal"}},
	{Unit{"hPa", Pressure, 100, 0}, []string{"mbar", "mBar", "MBAR"}},
	{Unit{"kPa", Pressure, 1e3, 0}, nil},
	{Unit{"MPa", Pressure, 1e6, 0}, []string{"Mpa", "N/mm²", "N/mm2"}},
	{Unit{"bar", Pressure, 1e5, 0}, []string{"barg", "bara", "bar(g)", "bar(a)", "bar g", "bar a"}},
	{Unit{"psi", Pressure, poundF / (inch * inch), 0}, []string{"lbf/in²", "lb/in²", "psig", "psia", "psi(g)", "psi(a)", "lbf/in2"}},
	{Unit{"ksi", Pressure, 1e3 * poundF / (inch * inch), 0}, nil},
	{Unit{"m³/s", Flow, 1, 0}, []string{"m3/s"}},
	{Unit{"m³/h", Flow, 1.0 / 3600, 0}, []string{"m3/h"}},
	{Unit{"l/h", Flow, 1e-3 / 3600, 0}, []string{"L/h", "l/hr", "L/hr", "lph", "LPH"}},
	{Unit{"gal/min", Flow, gallon * perMinute, 0}, []string{"gpm", "GPM", "US gpm", "USgpm", "gal/minute"}},
	{Unit{"l/min", Flow, 1e-3 * perMinute, 0}, []string{"L/min", "lpm", "LPM", "liter/min", "litre/min", "liters/min", "litres/min", "ltr/min"}},
}

// others are units that loggers and gateways write: understood like those of the table, but not offered where one is to be chosen.
var others = []entry{
	{Unit{"ppm", None, 1e-6, 0}, []string{"ppmv", "vpm", "ppm vol"}},
	{Unit{"ppb", None, 1e-9, 0}, nil},
	{Unit{"mil", Length, 1e-3 * inch, 0}, []string{"thou", "mils"}},
	{Unit{"µin", Length, 1e-6 * inch, 0}, []string{"uin", "µinch", "uinch", "microinch", "microinches"}},
	{Unit{"t", Mass, 1e3, 0}, nil},
	{Unit{"µA", Current, 1e-6, 0}, []string{"uA", "microamp", "microamps"}},
	{Unit{"kA", Current, 1e3, 0}, nil},
	{Unit{"µV", Voltage, 1e-6, 0}, []string{"uV", "microvolt", "microvolts"}},
	{Unit{"kV", Voltage, 1e3, 0}, []string{"kilovolt", "kilovolts"}},
	{Unit{"m/h", Speed, 1.0 / 3600, 0}, []string{"m/hr"}},
	{Unit{"cm/s", Speed, 1e-2, 0}, []string{"cm/sec"}},
	{Unit{"cm/min", Speed, 1e-2 * perMinute, 0}, nil},
	{Unit{"µm/s", Speed, 1e-6, 0}, []string{"um/s", "µm/sec", "um/sec"}},
	{Unit{"ft/s", Speed, foot, 0}, []string{"ft/sec", "fps"}},
	{Unit{"krpm", AngularRate, 2 * math.Pi * 1e3 * perMinute, 0}, nil},
	{Unit{"deg/s", AngularRate, math.Pi / 180, 0}, []string{"°/s", "deg/sec"}},
	{Unit{"°F/s", Heating, 5.0 / 9, 0}, []string{"degF/s", "F/s"}},
	{Unit{"°F/min", Heating, 5.0 / 9 * perMinute, 0}, []string{"degF/min", "F/min"}},
	{Unit{"MN", Force, 1e6, 0}, nil},
	{Unit{"mN", Force, 1e-3, 0}, nil},
	{Unit{"tf", Force, 1e3 * gravity, 0}, nil},
	{Unit{"klbf", Force, 1e3 * poundF, 0}, []string{"kip", "kips", "klb", "klbs"}},
	{Unit{"ozf", Force, poundF / 16, 0}, nil},
	{Unit{"N·cm", Torque, 1e-2, 0}, []string{"Ncm"}},
	{Unit{"N·mm", Torque, 1e-3, 0}, []string{"Nmm"}},
	{Unit{"mN·m", Torque, 1e-3, 0}, []string{"mNm"}},
	{Unit{"cN·m", Torque, 1e-2, 0}, []string{"cNm"}},
	{Unit{"daN·m", Torque, 10, 0}, []string{"daNm"}},
	{Unit{"kgf·m", Torque, gravity, 0}, []string{"kgfm", "kp·m", "kpm", "kg·m"}},
	{Unit{"kgf·cm", Torque, 1e-2 * gravity, 0}, []string{"kgfcm", "kg·cm"}},
	{Unit{"in·ozf", Torque, inch * poundF / 16, 0}, []string{"ozf·in", "oz·in", "in·oz"}},
	{Unit{"BTU/min", Power, btu * perMinute, 0}, nil},
	{Unit{"PS", Power, horse, 0}, []string{"metric hp"}},
	{Unit{"atm", Pressure, 101325, 0}, nil},
	{Unit{"mmHg", Pressure, mercury, 0}, []string{"Torr", "torr"}},
	{Unit{"inHg", Pressure, 25.4 * mercury, 0}, nil},
	{Unit{"kgf/cm²", Pressure, 1e4 * gravity, 0}, []string{"kgf/cm2", "kg/cm²", "kg/cm2"}},
	{Unit{"m³/min", Flow, perMinute, 0}, []string{"m3/min"}},
	{Unit{"l/s", Flow, 1e-3, 0}, []string{"L/s", "l/sec"}},
	{Unit{"gal/h", Flow, gallon / 3600, 0}, []string{"gph", "GPH", "gal/hr"}},
	{Unit{"ml/min", Flow, 1e-6 * perMinute, 0}, []string{"mL/min", "cc/min", "ccm", "cm³/min"}},
	{Unit{"ft³/min", Flow, foot * foot * foot * perMinute, 0}, []string{"cfm", "CFM", "ft3/min"}},
}

// spelling makes signs equal that people and their software take for one another, and reads what is left of ° and ℃ where a
// text was written in one encoding and read in another: UTF-8, code page 437, Mac Roman and GBK as Windows-1252, anything
// as UTF-8.
var spelling = strings.NewReplacer("℃", "°C", "℉", "°F", "º", "°", "˚", "°", "¡æ", "°C", "\u00a0", " ", "\u202f", " ", "\u2009", " ",
	"Â°", "°", "Âº", "°", "â„ƒ", "°C", "øC", "°C", "øF", "°F", "¡C", "°C", "¡F", "°F", "\ufffdC", "°C", "\ufffdF", "°F", "Â·", "·", "Âµ", "µ",
	"μ", "µ", "⋅", "·", "∙", "·", "•", "·", "*", "·", "×", "·", "⁻¹", "^-1", "⁻²", "^-2", "−", "-", "²", "^2", "³", "^3")

var byName = func() map[string]Unit {
	m := make(map[string]Unit)
	for _, e := range slices.Concat(table, others) {
		for _, n := range append([]string{e.Symbol}, e.also...) {
			n = spelling.Replace(n)
			if _, twice := m[n]; twice {
				panic("unit: " + n + " stands twice in the table")
			}
			m[n] = e.Unit
		}
	}
	return m
}()

// byFold finds spellings in which no capital tells a prefix (mW and MW): words, and signs that people write as they please.
var byFold = func() map[string]Unit {
	m := make(map[string]Unit)
	for n, u := range byName {
		letters := 0
		for _, r := range n {
			if r|0x20 >= 'a' && r|0x20 <= 'z' {
				letters++
			}
		}
		short := slices.Contains([]string{"mm", "mm/s", "mm/sec", "mm/min", "m/min", "min", "hp", "kw", "kn", "in", "in/s", "ft", "n·m", "°c", "°f", "1/min", "u/min", "r/min"}, strings.ToLower(n))
		if word := letters >= 3 && n[0]|0x20 != 'm' || strings.HasPrefix(n, "minute") || n == "micron"; word || short {
			if other, ok := m[strings.ToLower(n)]; ok && other != u {
				panic("unit: " + n + " and another unit differ by capitals alone")
			}
			m[strings.ToLower(n)] = u
		}
	}
	return m
}()

// ErrUnknown is wrapped by [Parse] when a name is not in the table.
var ErrUnknown = errors.New("unknown unit")

// Parse finds a unit by its symbol or an accepted spelling, e.g. "°C", "degC", "ft*lbf".
// Capitals make no difference in words ("CELSIUS", "Rpm"), nor where no prefix hangs on them ("MM/MIN").
// A product may have a point, a hyphen or a blank between its units, and a full stop may end it ("Deg. F.", "lbf-in").
// "m" followed by a metric word is not guessed: only the table counts.
func Parse(s string) (Unit, error) {
	name := spelling.Replace(strings.TrimSpace(s))
	if u, ok := byName[name]; ok {
		return u, nil
	}
	if u, ok := byFold[strings.ToLower(name)]; ok {
		return u, nil
	}
	ended := strings.TrimRight(name, ".")
	for _, other := range []string{ended, tight.Replace(ended), apart.ReplaceAllString(ended, "$1·$2")} {
		if other != name && other != "" {
			if u, err := Parse(other); err == nil {
				return u, nil
			}
		}
	}
	return Unit{}, fmt.Errorf("%w %q (known: %s)", ErrUnknown, s, strings.Join(Symbols(), ", "))
}

// tight takes away what stands around the signs of a quotient or product.
var tight = strings.NewReplacer(" / ", "/", "./", "/", " · ", "·", "/ ", "/")

// apart are the signs that people put between the units of a product: ft-lbs, N.cm, kgf cm.
var apart = regexp.MustCompile(`([A-Za-z])[-. ]+([A-Za-z])`)

// Behind finds the unit of a dimension that a name ends with, behind a sign or as a word with a capital: "SPDL_RPM", "Torque ft-lbs",
// "PowerKW". text is how it stands there. A name says nothing of a number without dimension.
func Behind(name string, d Dimension) (u Unit, text string, ok bool) {
	small := false
	for i, r := range name {
		if i > 0 && d != None && (strings.ContainsRune("/,;:_. -", rune(name[i-1])) || small && unicode.IsUpper(r)) {
			text = strings.TrimSpace(name[i:])
			if u, err := Parse(text); err == nil && u.Dim == d {
				return u, text, true
			}
		}
		small = unicode.IsLower(r)
	}
	return Unit{}, "", false
}

// MustParse is Parse for names fixed in the program; it panics on an unknown one.
func MustParse(s string) Unit {
	u, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// Symbols lists the table's symbols in its order.
func Symbols() []string {
	s := make([]string, len(table))
	for i, e := range table {
		s[i] = e.Symbol
	}
	return s
}

// Spellings lists every name that [Parse] knows, in the order of the table. It knows them too in signs
// that are taken for one another, such as ℃ and N⋅m.
func Spellings() []string {
	var s []string
	for _, e := range slices.Concat(table, others) {
		s = append(append(s, e.Symbol), e.also...)
	}
	// As they were written before signs were made equal.
	return append(s, "μm", "m/s^2", "N*m", "ft*lbf", "lbf*ft", "in*lbf")
}

// Of lists the symbols of one dimension, for messages such as "one of °C, K, °F".
func Of(d Dimension) []string {
	var s []string
	for _, e := range table {
		if e.Dim == d {
			s = append(s, e.Symbol)
		}
	}
	return s
}

// String is the symbol.
func (u Unit) String() string { return u.Symbol }

// SI converts a value in u to the coherent SI unit of its dimension.
func (u Unit) SI(v float64) float64 { return u.Scale*v + u.Offset }

// FromSI is the inverse of [Unit.SI].
func (u Unit) FromSI(si float64) float64 { return (si - u.Offset) / u.Scale }

// Map is an affine conversion y = Scale·x + Offset. The zero Map is not the identity: use [Between].
type Map struct{ Scale, Offset float64 }

// Identity changes nothing, bit for bit.
var Identity = Map{Scale: 1}

// Apply converts one value. The identity returns its argument unchanged, bit for bit.
func (m Map) Apply(v float64) float64 {
	if m == Identity {
		return v
	}
	return m.Scale*v + m.Offset
}

// ErrDimension is wrapped by [Between] for units of different dimension.
var ErrDimension = errors.New("units do not measure the same thing")

// Between is the conversion of values in from to values in to.
// Equal units give [Identity], so that values pass untouched.
func Between(from, to Unit) (Map, error) {
	if from.Dim != to.Dim {
		return Map{}, fmt.Errorf("%w: %s (%s) and %s (%s)", ErrDimension, from, from.Dim, to, to.Dim)
	}
	if from.Scale == to.Scale && from.Offset == to.Offset {
		return Identity, nil
	}
	return Map{Scale: from.Scale / to.Scale, Offset: (from.Offset - to.Offset) / to.Scale}, nil
}

// Quantity is a number with its unit, as people write it: "450 rpm", "12 mm/min", "80 °C".
type Quantity struct {
	Value float64
	Unit  Unit
}

// ParseQuantity reads a number followed by a unit. A bare number is an error unless want is
// [None]; a unit of another dimension is an error that lists those that fit.
func ParseQuantity(s string, want Dimension) (Quantity, error) {
	t := strings.TrimSpace(s)
	n := strings.IndexFunc(t, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) })
	// "5e" of "5 eV" cannot occur: no unit of the table starts with e or E.
	if n < 0 {
		n = len(t)
	}
	v, err := strconv.ParseFloat(t[:n], 64)
	if err != nil || math.IsInf(v, 0) {
		return Quantity{}, fmt.Errorf("%q is not a number with a unit such as %q", s, example(want))
	}
	name := strings.TrimSpace(t[n:])
	if name == "" && want != None {
		return Quantity{}, fmt.Errorf("%q lacks a unit: write for example %q", s, strings.TrimSpace(t)+" "+Of(want)[0])
	}
	u, err := Parse(name)
	if err != nil {
		return Quantity{}, fmt.Errorf("%w %q; allowed here: %s", ErrUnknown, name, strings.Join(Of(want), ", "))
	}
	if u.Dim != want {
		return Quantity{}, fmt.Errorf("%q has the wrong kind of unit; allowed here: %s", s, strings.Join(Of(want), ", "))
	}
	return Quantity{v, u}, nil
}

func example(d Dimension) string {
	if of := Of(d); len(of) > 0 {
		return "2 " + of[0]
	}
	return "2"
}

// In is the quantity's value in another unit of the same dimension; it panics on a different one.
func (q Quantity) In(u Unit) float64 {
	m, err := Between(q.Unit, u)
	if err != nil {
		panic(err)
	}
	return m.Apply(q.Value)
}

// SI is the quantity's value in the coherent SI unit.
func (q Quantity) SI() float64 { return q.Unit.SI(q.Value) }

// String prints the quantity as it may be written in a configuration.
func (q Quantity) String() string {
	s := strconv.FormatFloat(q.Value, 'g', -1, 64)
	if q.Unit.Symbol == "" || q.Unit.Symbol == "1" {
		return s
	}
	return s + " " + q.Unit.Symbol
}

// Nearest is the known spelling closest to name by edit distance (a wrong case counts least),
// for "did you mean"; "" if none is near.
func Nearest(name string) string {
	best, at := "", 30
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		d := 10*distance(strings.ToLower(name), strings.ToLower(n)) + min(distance(name, n), 9)
		if d < at && d < 10*len(n) {
			best, at = n, d
		}
	}
	return best
}

// distance is the Levenshtein edit distance in runes.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		prev := row[0]
		row[0] = i + 1
		for j, s := range y {
			cost := prev
			if r != s {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(y)]
}
