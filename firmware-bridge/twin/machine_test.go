package twin

import (
	"context"
	"math"
	"strings"
	"testing"
)

func TestControllerLaw(t *testing.T) {
	m, err := New(Config{Params: loaded(t, "6061"), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	m.mode, m.pid, m.setPoint, m.command = ByTool, true, 475, 380
	m.reading = 470
	m.control(0.1) // the first look has no change
	// Δn = −0.374·ΔT − 0.387·(T − T_set)·Δt.
	if want := 380 + 0.374/0.966*5*0.1; math.Abs(m.command-want) > 1e-9 {
		t.Errorf("%.4f rpm, want %.4f", m.command, want)
	}
	before := m.command
	m.reading = 473
	m.control(0.1)
	if want := before - 0.374*3 + 0.374/0.966*2*0.1; math.Abs(m.command-want) > 1e-9 {
		t.Errorf("%.4f rpm, want %.4f", m.command, want)
	}
	m.reading = 200
	for range 1000 {
		m.control(0.1)
	}
	if m.command != 450 {
		t.Errorf("%g rpm, limit 450", m.command)
	}
	m.reading = 600
	for range 1000 {
		m.control(0.1)
	}
	if m.command != 300 {
		t.Errorf("%g rpm, limit 300", m.command)
	}
}

// The law is found again in what the machine logs, as it was in a real one's log.
func TestLawIsRecoveredFromRows(t *testing.T) {
	var a11, a12, a22, b1, b2 float64
	var last Row
	steady := 0
	if err := Simulate(t.Context(), Config{Params: loaded(t, "6061"), Seed: 5}, func(_ *Machine, r *Row) error {
		if steady++; r.True.Phase != Deposit || r.True.AtLimit || r.SetPoint != last.SetPoint {
			steady = 0
		}
		if steady > 5 {
			x, y, z := r.ToolTemp-last.ToolTemp, (r.ToolTemp+last.ToolTemp)/2-r.SetPoint, r.RPM-last.RPM
			a11, a12, a22, b1, b2 = a11+x*x, a12+x*y, a22+y*y, b1+x*z, b2+y*z
		}
		last = *r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	det := a11*a22 - a12*a12
	kp, ki := (b1*a22-b2*a12)/det, (a11*b2-a12*b1)/det
	if math.Abs(kp/-0.374-1) > 0.2 || math.Abs(ki/-0.387-1) > 0.2 {
		t.Errorf("change of rpm = %.3f·ΔT %+.3f·(T − T_set)·Δt, want −0.374 and −0.387", kp, ki)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		mode, setPoint float64
		value          func(*Machine) float64
		near           float64
	}{
		{0, 200, func(m *Machine) float64 { return m.torque }, 40},
		{1, 12000, func(m *Machine) float64 { return m.load.axial }, 3000},
		{3, 460, func(m *Machine) float64 { return m.reading }, 15},
	} {
		program, err := ParseProgram("M24 S241\nM06 S400\nG4 P25\nM24 S400\nG1 F700 L20\nM30")
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(Config{Params: loaded(t, "6061"), Seed: 1, Program: program, Operator: []Timed{
			{30, Code{Name: "M40", S: c.mode, HasS: true}}, {30, Code{Name: "M41", S: c.setPoint, HasS: true}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		var sum, n float64
		for m.Time() < 240 {
			m.step()
			if m.Time() > 120 {
				sum, n = sum+c.value(m), n+1
			}
		}
		if math.Abs(sum/n-c.setPoint) > c.near {
			t.Errorf("mode %g: %.0f, set-point %g", c.mode, sum/n, c.setPoint)
		}
	}
}

func TestCodes(t *testing.T) {
	for line, want := range map[string]string{
		"M41 S475": "", "m41s475": "", " M05 ": "", "M24 S-100": "", "M62 S20": "", "M52 S300": "",
		"":             "empty",
		"M41":          "needs S",
		"M05 S1":       "takes no S",
		"M52 S0":       "1 to 300",
		"M52 S301":     "1 to 300",
		"M62 S21":      "1 to 20",
		"M99 S1":       "not known",
		"G1 F100 L1":   "not known",
		"M30":          "not known",
		"S475 M41":     "does not begin",
		"M41 S":        "no word",
		"M41 Sx":       "no word",
		"M41 S475 S3":  "takes no S",
		"M40 S1.5":     "M40 takes mode",
		"M41 S1e3":     "takes no E",
		"hello":        "no word",
		"M41 F3 S4":    "takes no F",
		"M41 S1.2.3":   "no word",
		"M\x00 S3":     "no word",
		"M41 S1 M42S1": "takes no M",
	} {
		_, err := ParseCode(line, false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	if _, err := ParseProgram("M41 S475 ; warm\n\nG1 F100\nX\n"); err == nil || !strings.Contains(err.Error(), "line 3") || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("%v: want both mistakes", err)
	}
	m, err := New(Config{Params: loaded(t, "6061")})
	if err != nil {
		t.Fatal(err)
	}
	do := func(line string) error {
		c, err := ParseCode(line, false)
		if err != nil {
			t.Fatal(err)
		}
		return m.Do(c)
	}
	for _, line := range []string{"M71 S50", "M72 S20", "M73 S1", "M74 S2", "M75 S250", "M76 S500", "M27", "M28", "M60", "M62 S5", "M52 S120", "M40 S3", "M41 S470"} {
		if err := do(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if m.law != (Controller{Kp: 0.5, Tn: 2, Tv: 0.1, Td: 0.2, Min: 250, Max: 500, Rate: 10}) || m.override != 120 || m.setPoint != 470 || !m.logging {
		t.Errorf("%+v %g %g", m.law, m.override, m.setPoint)
	}
	for line, want := range map[string]string{"M40 S1": "PID is on", "M41 S800": "above 700", "M75 S501": "above max", "M76 S100": "below min", "M72 S0": "more than 0"} {
		if err := do(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// run gives the rows of a build with a fault and without, from the same seed.
func run(t *testing.T, faults ...Fault) []Row {
	t.Helper()
	program, err := ParseProgram("M40 S3\nM60\nM24 S241\nM06 S200\nM41 S465\nM43 S440\nM41 S475\nM24 S381\nG1 F800 L12\nM30")
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	if err := Simulate(context.Background(), Config{Params: loaded(t, "6061"), Seed: 11, Program: program, Faults: faults, Limit: 420}, func(_ *Machine, r *Row) error {
		c := *r
		c.True.Active = append([]Fault(nil), r.True.Active...)
		rows = append(rows, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

func mean(rows []Row, from, to int, f func(*Row) float64) float64 {
	sum := 0.0
	for i := from; i < to; i++ {
		sum += f(&rows[i]) / float64(to-from)
	}
	return sum
}

func torque(r *Row) float64  { return r.Torque }
func temp(r *Row) float64    { return r.ToolTemp }
func feedTrq(r *Row) float64 { return r.FeedTrq }
func power(r *Row) float64   { return r.Power }
func feedVel(r *Row) float64 { return r.FeedVel }

func TestEachFaultHasItsSignature(t *testing.T) {
	good := run(t)
	with := func(k Kind, at, length, severity float64) []Row {
		rows := run(t, Fault{k, at, length, severity})
		for i := range rows {
			acts := len(rows[i].True.Active) == 1 && rows[i].True.Active[0].Kind == k
			if within := rows[i].At > at && rows[i].At <= at+length; acts != within {
				t.Errorf("%s: truth says %v at %g s", k, rows[i].True.Active, rows[i].At)
			}
			// Up to the onset both runs are one.
			if rows[i].At <= at && rows[i].True.Face != good[i].True.Face {
				t.Fatalf("%s acts before its onset", k)
			}
		}
		return rows
	}
	check := func(ok bool, format string, a ...any) {
		t.Helper()
		if !ok {
			t.Errorf(format, a...)
		}
	}

	r := with(Feedstock, 250, 40, 1)
	check(mean(r, 265, 285, feedTrq) < 3 && mean(r, 265, 285, feedVel) > 350, "feedstock: feed torque %.1f at %.0f mm/min", mean(r, 265, 285, feedTrq), mean(r, 265, 285, feedVel))
	check(mean(r, 270, 290, torque) < 0.7*mean(good, 270, 290, torque) && mean(r, 270, 290, power) < 0.85*mean(good, 270, 290, power), "feedstock: torque %.0f, power %.0f", mean(r, 270, 290, torque), mean(r, 270, 290, power))
	check(mean(r, 285, 290, temp) < 455, "feedstock: %.0f °C after 35 s", mean(r, 285, 290, temp))

	r = with(Jam, 250, 40, 0.8)
	std := func(rows []Row, a, b int) float64 {
		var v []float64
		for i := a; i < b; i++ {
			v = append(v, rows[i].Torque)
		}
		_, s := meanStd(v)
		return s
	}
	check(mean(r, 255, 285, feedTrq) > 80 && mean(r, 255, 285, feedVel) < 0.5*381, "jam: feed torque %.0f at %.0f mm/min", mean(r, 255, 285, feedTrq), mean(r, 255, 285, feedVel))
	check(std(r, 255, 285) > 1.5*std(good, 255, 285), "jam: torque ripple %.1f, without %.1f", std(r, 255, 285), std(good, 255, 285))

	r = with(LiftOff, 250, 20, 0.8)
	fastest := 0.0
	for i := 252; i < 268; i++ {
		fastest = max(fastest, r[i-1].ToolTemp-r[i].ToolTemp)
	}
	check(r[251].Torque < 0.4*good[251].Torque && r[251].Z-r[249].Z > 2 && mean(r, 255, 265, feedTrq) < 0.6*mean(good, 255, 265, feedTrq), "lift-off: torque %.0f, step %.1f mm, feed torque %.1f", r[251].Torque, r[251].Z-r[249].Z, mean(r, 255, 265, feedTrq))
	check(fastest > 5 && fastest < 14, "lift-off: T falls %.1f °C/s", fastest)

	r = with(Flash, 250, 60, 0.8)
	check(mean(r, 260, 300, feedVel) > 1.8*381 && mean(r, 260, 300, feedTrq) < mean(good, 260, 300, feedTrq), "flash: %.0f mm/min, feed torque %.1f (%.1f without)", mean(r, 260, 300, feedVel), mean(r, 260, 300, feedTrq), mean(good, 260, 300, feedTrq))

	r = run(t, Fault{ColdStart, 0, 20, 1})
	most, normal, cold := 0.0, 0.0, 0.0
	for i := range 20 {
		if r[i].ToolTemp < 150 {
			most = max(most, r[i].Torque)
		}
		if good[i].ToolTemp < 150 {
			cold = max(cold, good[i].Torque)
		}
		normal = mean(good, 200, 300, torque)
	}
	rate := 0.0
	for i := 1; i < 20; i++ {
		rate = max(rate, r[i].ToolTemp-r[i-1].ToolTemp)
	}
	check(most > 2*normal && most > 2*cold, "cold start: %.0f N·m below 150 °C, %.0f in deposition, %.0f in a good start", most, normal, cold)
	check(rate > 45, "cold start: %.0f °C/s", rate)

	r = with(Coolant, 200, 200, 1)
	low := func(r *Row) float64 { return r.Low }
	out := func(r *Row) float64 { return r.CoolantOut }
	check(mean(r, 380, 399, low)-mean(good, 380, 399, low) > 3 && mean(r, 380, 399, out)-mean(good, 380, 399, out) > 3, "coolant: bearing %+.1f °C, coolant %+.1f °C", mean(r, 380, 399, low)-mean(good, 380, 399, low), mean(r, 380, 399, out)-mean(good, 380, 399, out))

	r = with(Unreachable, 250, 120, 1)
	limit := 0
	for i := 260; i < 365; i++ {
		if r[i].RPM > 445 && r[i].SetPoint-r[i].ToolTemp > 10 {
			limit++
		}
	}
	check(limit > 30, "unreachable: %d s at the limit with more than 10 °C missing; %.0f rpm, %.0f °C", limit, mean(r, 300, 360, func(r *Row) float64 { return r.RPM }), mean(r, 300, 360, temp))

	r = with(Wear, 150, 250, 1)
	speed := func(r *Row) float64 { return r.RPM }
	check(mean(r, 370, 400, speed) > mean(good, 370, 400, speed)+15, "wear: %.0f rpm, %.0f without", mean(r, 370, 400, speed), mean(good, 370, 400, speed))

	r = with(Open, 250, 10, 1)
	check(r[255].ToolTemp == NoSignal && r[262].ToolTemp > 300, "open: %.1f, then %.1f", r[255].ToolTemp, r[262].ToolTemp)

	r = run(t, Fault{Spike, 200, 100, 1})
	jumps := 0
	for i := 200; i < 300; i++ {
		if r[i].ToolTemp-r[i].True.Face > 120 {
			jumps++
		}
	}
	check(jumps >= 2 && jumps < 15 && r[200].ToolTemp-r[200].True.Face > 120 && r[201].ToolTemp-r[201].True.Face < 60, "spike: %d in 100 rows", jumps)

	r = with(Drift, 200, 100, 0.6)
	check(math.Abs(mean(r, 285, 300, func(r *Row) float64 { return r.ToolTemp - r.True.Face })-0.3*92) < 8, "drift: reading is %.1f °C off after 92 s", mean(r, 285, 300, func(r *Row) float64 { return r.ToolTemp - r.True.Face }))

	r = with(Frozen, 250, 30, 1)
	for i := 251; i < 279; i++ {
		check(r[i].ToolTemp == r[250].ToolTemp, "frozen: %.1f at %d", r[i].ToolTemp, i)
	}

	r = with(Late, 250, 30, 0.6)
	check(r[260].ToolAge == 3 && math.Abs(r[260].ToolTemp-r[257].ToolTemp) < 60, "late: age %g s", r[260].ToolAge)
	check(math.Abs(r[270].ToolTemp-good[267].ToolTemp) < 1e-9, "late: %.1f, three seconds before it was %.1f", r[270].ToolTemp, good[267].ToolTemp)

	r = with(Lost, 250, 30, 1)
	check(r[260].ToolLost && !r[240].ToolLost && !r[285].ToolLost, "lost")
}

func TestFaultsAreReadAsWritten(t *testing.T) {
	for _, s := range []string{"jam@120s+30s:0.8", "open@0s:1", "lift-off@90s+2s:0.25"} {
		f, err := ParseFault(s)
		if err != nil || f.String() != s {
			t.Errorf("%q: %v, %v", s, f, err)
		}
	}
	for s, want := range map[string]string{"jam": "no onset", "jelly@1s": "not known", "jam@1s:2": "severity", "jam@x": "onset", "jam@1s+0s": "length", "jam@1s:NaN": "severity"} {
		if _, err := ParseFault(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
	m, err := New(Config{Params: loaded(t, "6061")})
	if err != nil {
		t.Fatal(err)
	}
	for m.Time() < 5 {
		m.step()
	}
	m.Inject(Fault{Kind: Open, At: 0, Severity: 1})
	for m.Time() < 6 {
		m.step()
	}
	if m.reading != NoSignal {
		t.Errorf("%g", m.reading)
	}
	m.Clear("")
	for m.Time() < 7 {
		m.step()
	}
	if m.reading == NoSignal {
		t.Error("a cleared fault stays")
	}
}

func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"M41 S475", "G1 F381 L2.5", "m52s120", "M41 S-", "G4 P3", "M99"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, program bool) {
		c, err := ParseCode(s, program)
		if err == nil {
			if _, known := codes[c.Name]; !known || math.IsNaN(c.S) {
				t.Errorf("%q gives %+v", s, c)
			}
			m := Machine{p: new(Params), law: Controller{Max: 450}}
			_ = m.Do(c)
		}
	})
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"jam@120s+30s:0.8", "open@0s", "drift@1h+2m:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if x, err := ParseFault(s); err == nil {
			if !(x.Severity > 0 && x.Severity <= 1) || x.At < 0 || x.For < 0 {
				t.Errorf("%q gives %+v", s, x)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	text, err := materials.ReadFile("materials/6061.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("metal: {density: 1 kg/m³}")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = Parse([]byte(s)) })
}
