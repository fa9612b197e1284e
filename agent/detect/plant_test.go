package detect

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"stirwatch/agent/history"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/firmware-bridge/twin"
)

// built gives p as a machine of another make: each factor of "capacity=0.5,losses=2" multiplies what it names.
func built(t testing.TB, p *twin.Params, factors string) *twin.Params {
	t.Helper()
	v := *p
	for _, f := range strings.FieldsFunc(factors, func(r rune) bool { return r == ',' }) {
		name, by, _ := strings.Cut(f, "=")
		factor, err := strconv.ParseFloat(by, 64)
		if err != nil {
			t.Fatal(err)
		}
		of, known := map[string][]*float64{
			"capacity": {&v.Tool.Face, &v.Tool.Capacity, &v.Tool.ShearHeat},
			"losses":   {&v.Tool.Air, &v.Tool.Bore, &v.Spindle.Shank, &v.Build.Rest, &v.Build.Moving, &v.Build.Bed, &v.Build.Air},
			"inertia":  {&v.Spindle.Inertia},
			"bearing":  {&v.Spindle.BearingCap},
			"coolant":  {&v.Spindle.Coolant, &v.Spindle.CoolantFlow},
			"lag":      {&v.Thermo.Lag, &v.Thermo.Dead},
		}[name]
		if !known {
			t.Fatalf("STIRWATCH_PLANT: %q is not known", name)
		}
		for _, x := range of {
			*x *= factor
		}
	}
	return &v
}

// plant is the machine that the build of a seed is made on, as STIRWATCH_PLANT and STIRWATCH_VARIED say.
func plant(t testing.TB, p *twin.Params, seed uint64) *twin.Params {
	t.Helper()
	p = built(t, p, os.Getenv("STIRWATCH_PLANT"))
	if share, err := strconv.ParseFloat(os.Getenv("STIRWATCH_VARIED"), 64); err == nil {
		p = p.Varied(share, seed)
	}
	return p
}

// learned is the model of three builds without a fault on such machines, from the seed that STIRWATCH_LEARN says on; nil without it.
func learned(t testing.TB, metals []*twin.Params) *model.Model {
	t.Helper()
	var from uint64
	if _, err := fmt.Sscanf(os.Getenv("STIRWATCH_LEARN"), "%d", &from); err != nil {
		return nil
	}
	var all []runs.Run
	for seed := from; seed < from+3; seed++ {
		cfg := twin.RandomBuild(plant(t, metals[seed%uint64(len(metals))], seed), seed, false)
		cfg.Interval = 1
		b := logOf(t, cfg)
		b.another()
		r, err := history.FromLog(b.log, model.DefaultHypotheses().Channels())
		if err != nil {
			t.Fatal(err)
		}
		r.Name, r.SHA256 = b.log.Name, b.log.Name
		all = append(all, *r)
	}
	var names []string
	for _, in := range model.KnownInputs() {
		names = append(names, in.Name)
	}
	m, err := learn.Learn(t.Context(), all, learn.Options{Inputs: names})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("learned from builds %d to %d: rule of the spindle %+v, a start takes %g N·m", from, from+2, m.Spindle, m.StartTorque)
	return m
}
