/** Zones whose clocks change, and instants around the changes. */
import fc from 'fast-check'

const CHANGES: Readonly<Record<string, readonly string[]>> = {
  'Europe/Berlin': ['2026-03-29', '2026-10-25'],
  'America/New_York': ['2026-03-08', '2026-11-01'],
  // By half an hour.
  'Australia/Lord_Howe': ['2026-04-05', '2026-10-04'],
  // Twice, before and after Ramadan.
  'Africa/Casablanca': ['2026-02-15', '2026-03-22'],
  // At midnight, so that a day begins at 1 o'clock.
  'Asia/Beirut': ['2026-03-29', '2026-10-25'],
  // In the last hour of a day.
  'America/Nuuk': ['2026-03-28', '2026-10-24'],
  UTC: ['2028-02-29'],
}

export const zones: fc.Arbitrary<string> = fc.constantFrom(...Object.keys(CHANGES))

/** A zone with an instant up to 30 hours away from one of its changes. */
export const moments: fc.Arbitrary<{ zone: string; at: number }> = zones.chain((zone) =>
  fc.record({
    zone: fc.constant(zone),
    at: fc
      .tuple(
        fc.constantFrom(...(CHANGES[zone] as readonly string[])),
        fc.integer({ min: -30, max: 30 }),
        fc.nat(3_599_999),
      )
      .map(([day, hours, ms]) => Date.parse(day) + hours * 3_600_000 + ms),
  }),
)

/** What a clock there shows: `2026-03-29 03:00:00`. */
export function clockOf(zone: string): (instant: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  return (instant) => format.format(instant)
}
