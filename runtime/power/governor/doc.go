// Package governor holds a model's work back so that its machine stays within limits: a
// power, a temperature, a charge of the battery. It changes how fast tokens come, never
// which: it waits between runs and takes fewer processor threads, and both are without
// influence on results by Ledge's rules.
//
// # What it does
//
// Work is held back by one number, the effort u: the share of full speed, from 1 down
// to 0.05. Of n threads runs get k on average, at least half of them (a fraction is made
// by giving some runs one more), and after a run of length b the governor waits b(1/d-1),
// so that the share d of the time is work:
//
//	k = max(u n, n/2 rounded up)
//	d = u n/k
//
// So threads go first and pauses are made when half of them are gone: where memory is
// the limit, the last threads add more to the power than to the speed. A device that is
// not the processor has pauses only.
//
// # The law
//
// Once a second each limit is looked at and gives an effort; the least counts. Power and
// temperature are controlled by a proportional and an integral part:
//
//	e = (goal - x - h max(0, dx/dt)) / scale
//	u = I + P e, within [0.05, 1]
//	I grows by K min(e, 1) a second, from I0 on, within [0.05, 1]; it stays while u is
//	at an end and e would drive it further (anti-windup)
//
//	              goal           scale                   P     K       I0   h
//	power         97 % of it     the most measured yet   0.30  0.5     1    0
//	temperature   1 °C below it  1 °C                    0.05  0.0015  0.3  4 s
//
// Power follows the effort at once, so a machine begins at full speed and is down within
// some ten seconds. Heat is slow: the integral of the temperature begins low, so that a
// machine which warms up slows down before it is too warm, from some 14 °C below the goal
// on; and it is looked at as it will be in h seconds if it rises as in the last 6. It is
// the highest temperature of all that the machine measures. Power is the mean of the last
// second by the source that energy is charged to.
//
// The battery has no loop: in the last 5 points above its floor the effort falls evenly
// from 1 to 0.25. At the floor, without a charger, work ends with a *FloorError.
//
// A mean is held, not the moment: within a run the machine draws what it draws. What
// must never draw more than so many watts is limited by nvpmodel, nvidia-smi -pl or
// powercap, which root sets.
//
// A sensor that fails leaves its limit at the effort of the last reading that was within
// it, or the present one if that is less, and says so; when it is back the law goes on
// from there. A limit that cannot be kept at the least effort is told, too: the rest of
// the machine draws that much.
package governor
