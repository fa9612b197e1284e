package unit

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestConversionsAgainstPublishedFactors(t *testing.T) {
	// NIST SP 811 B.8 and definitions.
	for _, c := range []struct {
		v        float64
		from, to string
		want     float64
	}{
		{1, "ft·lbf", "N·m", 1.3558179483314004},
		{1, "in", "mm", 25.4},
		{60, "rpm", "rad/s", 2 * math.Pi},
		{100, "°C", "K", 373.15},
		{212, "°F", "°C", 100},
		{-40, "°F", "°C", -40},
		{1, "hp", "W", 745.6998715822702},
		{1, "psi", "kPa", 6.894757293168361},
		{12, "in/min", "mm/s", 5.08},
		{1, "lbf", "N", 4.4482216152605},
		{1, "mbar", "Pa", 100},
		{1, "ksi", "MPa", 6.894757293168361},
		{1000, "BTU/h", "W", 293.0710701722222},
		{1, "gpm", "l/min", 3.785411784},
		{3600, "l/h", "m³/s", 1e-3},
		{1, "kgf/cm²", "kPa", 98.0665},
		{1, "mmHg", "Pa", 133.322387415},
		{1, "inHg", "kPa", 3.386388640341},
		{1, "PS", "W", 735.49875},
		{1, "kgf·m", "N·m", 9.80665},
		{1, "in·ozf", "N·m", 7.0615518333e-3},
		{1, "klbf", "N", 4448.2216152605},
		{1, "mil", "µm", 25.4},
		{10000, "ppm", "%", 1},
		{1, "ft³/min", "l/min", 28.316846592},
		{1, "gal/h", "l/h", 3.785411784},
	} {
		m, err := Between(MustParse(c.from), MustParse(c.to))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Apply(c.v); math.Abs(got-c.want) > 1e-9*math.Max(1, math.Abs(c.want)) {
			t.Errorf("%g %s = %.12g %s, want %.12g", c.v, c.from, got, c.to, c.want)
		}
	}
}

func TestEqualUnitsPassValuesBitForBit(t *testing.T) {
	m, err := Between(MustParse("degC"), MustParse("°C"))
	if err != nil || m != Identity {
		t.Fatalf("map %v, error %v", m, err)
	}
	for _, v := range []float64{0.1, math.Copysign(0, -1), 474.9, math.MaxFloat64} {
		if math.Float64bits(m.Apply(v)) != math.Float64bits(v) {
			t.Errorf("%g changed", v)
		}
	}
}

func TestDifferentDimensionsAreRefused(t *testing.T) {
	for _, c := range [][2]string{{"rpm", "Hz"}, {"N·m", "W"}, {"°C", "K/s"}, {"mm", "mm/min"}} {
		if _, err := Between(MustParse(c[0]), MustParse(c[1])); !errors.Is(err, ErrDimension) {
			t.Errorf("%s to %s: %v", c[0], c[1], err)
		}
	}
}

func TestPowerIsTorqueTimesAngularRate(t *testing.T) {
	if Torque.Times(AngularRate) != Power {
		t.Fatalf("%s", Torque.Times(AngularRate))
	}
}

func TestParseQuantity(t *testing.T) {
	for in, si := range map[string]float64{"450 rpm": 15 * math.Pi, "450rpm": 15 * math.Pi, " +1e3 rad/s ": 1000} {
		q, err := ParseQuantity(in, AngularRate)
		if err != nil || math.Abs(q.SI()-si) > 1e-9 {
			t.Errorf("%q: %v, %v", in, q, err)
		}
	}
	for in, want := range map[string]string{
		"450":       "lacks a unit",
		"450 °C":    "wrong kind of unit",
		"fast":      "not a number",
		"":          "not a number",
		"4 rpms":    "unknown unit",
		"NaN rpm":   "not a number",
		"1e999 rpm": "not a number",
	} {
		if _, err := ParseQuantity(in, AngularRate); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for in, want := range map[string]string{"degc": "degC", "mm/mins": "mm/min", "zzzzzzzz": ""} {
		if got := Nearest(in); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseQuantity(f *testing.F) {
	f.Add("450 rpm")
	f.Add("-3.5e2 °C")
	f.Fuzz(func(t *testing.T, s string) {
		for _, d := range []Dimension{None, Temperature, AngularRate} {
			q, err := ParseQuantity(s, d)
			if err != nil {
				continue
			}
			back, err := ParseQuantity(q.String(), d)
			if err != nil || back != q {
				t.Fatalf("%q -> %q -> %v, %v", s, q, back, err)
			}
		}
	})
}

// Units come in the signs of many programs and code pages; what they mean is one.
func TestSpellings(t *testing.T) {
	for symbol, spellings := range map[string][]string{
		"°C":  {"℃", "ºC", "˚C", "deg C", "degC", "deg. C", "° C", "C", "Celsius", "¡æ", "°\u00a0C", "Deg C", "DEG C", "CELSIUS", "Celcius", "degrees C", "Grad Celsius", "Â°C", "øC", "\ufffdC", "oC", "°c", "Deg. C.", "C°", "*C"},
		"°F":  {"℉", "ºF", "degF", "deg F", "F", "Deg. F.", "DEG.F"},
		"K":   {"°K", "kelvin", "deg K"},
		"rpm": {"RPM", "1/min", "min⁻¹", "min^-1", "min-1", "U/min", "r/min", "Upm", "tr/min", "ot/min", "U / min", "rev./min", "r.p.m."},
		"N·m": {"Nm", "N*m", "N m", "N⋅m", "N∙m", "N-m", "N\u00a0m"},
		"µm":  {"μm", "um"},
		"%":   {"pct", "percent", "vol%", "Vol.-%", "% RH"},
		"W":   {"WATT", "Watts"}, "hp": {"HP"}, "kW": {"kw", "Kw"}, "mm/min": {"MM/MIN"}, "in/min": {"IPM", "IN/MIN", "Inch/min"},
		"kN": {"KN"}, "rev/s": {"rps"}, "kPa": {"KPA"},
		"min": {"minutes", "MIN"}, "s": {"sec", "seconds", "SEC"}, "h": {"hours"},
		"m/s²": {"m/s^2", "m/s2", "m·s⁻²"}, "m³/s": {"m^3/s", "m3/s"},
		"ft·lbf": {"ft-lbs", "FT-LBS", "ft.lbs", "ft lbs", "lb.ft", "lb-ft", "ftlbs", "lbs-ft", "FT-LBF", "Ft-Lb"},
		"in·lbf": {"in-lbs", "in.lb", "lb-in", "inlb"}, "N·cm": {"Ncm", "N cm", "N.cm", "N-cm"}, "kgf·m": {"kgf.m", "kg-m", "kgfm"},
		"klbf": {"kip", "KIPS"}, "psi": {"PSI", "psig", "psi(g)"}, "bar": {"Bar", "bar(g)", "barg"}, "MPa": {"Mpa", "N/mm²", "N/mm^2"},
		"ppm": {"ppmv", "PPM"}, "l/h": {"L/hr"}, "mil": {"thou"}, "PS": {"metric hp"}, "krpm": {"KRPM"},
	} {
		want := MustParse(symbol)
		for _, s := range spellings {
			if u, err := Parse(s); err != nil || u != want {
				t.Errorf("%q: %v, %v, want %s", s, u, err, symbol)
			}
		}
	}
	for _, s := range []string{"m s", "M", "°", "mw", "MV", "MA", "MPA", "mpa", "MS", "Mn"} {
		if u, err := Parse(s); err == nil && u.Dim != Angle {
			t.Errorf("%q is %s", s, u)
		}
	}
}
