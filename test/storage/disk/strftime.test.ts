import t from 'tap'
import { compileStrftime } from '../../../src/storage/disk/strftime.js'

// Expected values are those of Python 3: datetime.fromisoformat(time).strftime(pattern).
const cases = [
  ['2026-11-03T04:05:06.789Z', 'chunked_uploads/%Y/%m/%d', 'chunked_uploads/2026/11/03'],
  ['2026-11-03T04:05:06.789Z', '%H-%M-%S.%f', '04-05-06.789000'],
  ['2026-11-03T04:05:06.789Z', '%y %C %F %j %s', '26 20 2026-11-03 307 1793678706'],
  ['2026-11-03T04:05:06.789Z', '%a %A %b %B %h', 'Tue Tuesday Nov November Nov'],
  ['2026-11-03T00:05:06.789Z', '%I %p', '12 AM'],
  ['2026-11-03T12:00:00.000Z', '%I %p', '12 PM'],
  ['2026-11-03T23:59:59.999Z', '%I %p %z %Z', '11 PM +0000 UTC'],
  ['2026-11-01T00:00:00.000Z', '%u %w %U %W %V %G', '7 0 44 43 44 2026'],
  ['2026-01-01T00:00:00.000Z', '%u %w %U %W %V %G %g %j', '4 4 00 00 01 2026 26 001'],
  ['2027-01-01T00:00:00.000Z', '%U %W %V %G %g', '00 00 53 2026 26'],
  ['2024-12-30T00:00:00.000Z', '%U %W %V %G %j', '52 53 01 2025 365'],
  ['2023-01-01T00:00:00.000Z', '%U %W %V %G', '01 00 52 2022'],
  ['2024-12-31T23:59:59.999Z', '%Y/%j', '2024/366'],
  ['2026-03-29T02:30:00.000Z', '%H:%M', '02:30'],
  ['2026-11-03T04:05:06.789Z', '100%%/%%Y', '100%/%Y'],
  ['2026-11-03T04:05:06.789Z', '', ''],
  ['2026-11-03T04:05:06.789Z', 'plain', 'plain']
] as const

for (const [time, pattern, expected] of cases) {
  t.test(`${time} as "${pattern}" is "${expected}"`, async t => {
    t.equal(compileStrftime(pattern)(Date.parse(time)), expected)
  })
}

for (const pattern of ['%Q', '%', 'a/%', '%E', '%-d', '%c', '%D', '%x', '%X', '%n', '%e', '%é', '%/']) {
  t.test(`"${pattern}" is refused when it is compiled`, async t => {
    t.throws(() => compileStrftime(pattern), { message: /is not a strftime directive/ })
  })
}
