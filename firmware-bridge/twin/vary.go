package twin

import "math/rand/v2"

// Varied gives parameters of another machine and metal of the same kind: heat, losses, heat capacities, contact,
// drag, the sensor's lag and the noise are each multiplied by a factor drawn evenly from 1 − share to
// 1 + share. Equal seeds give equal machines.
func (p *Params) Varied(share float64, seed uint64) *Params {
	v := *p
	r := rand.New(rand.NewPCG(seed, 'v'))
	for _, x := range []*float64{
		&v.Tool.Stick, &v.Tool.Contact, &v.Tool.Face, &v.Tool.Capacity, &v.Tool.Spread, &v.Tool.Air, &v.Tool.Bore, &v.Tool.ShearHeat,
		&v.Build.Rest, &v.Build.Moving, &v.Build.Bed, &v.Build.LapHeat, &v.Build.HalfLapHeat, &v.Build.LapPress, &v.Build.HalfPress,
		&v.Spindle.Drag, &v.Thermo.Lag, &v.Thermo.Dead, &v.Noise.Fast, &v.Noise.Slow,
	} {
		*x *= 1 + share*(2*r.Float64()-1)
	}
	return &v
}
