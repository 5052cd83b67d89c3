const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'
]
const day = 86_400_000

const padded = (value: number, width: number): string => String(value).padStart(width, '0')
const dayOfYear = (time: Date): number =>
  (Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()) - Date.UTC(time.getUTCFullYear(), 0)) / day
const isoWeekday = (time: Date): number => time.getUTCDay() === 0 ? 7 : time.getUTCDay()
/** ISO 8601: a week belongs to the year that has its Thursday. */
const thursdayOfWeek = (time: Date): Date => new Date(time.getTime() + (4 - isoWeekday(time)) * day)

/**
 * What the directives of Python's strftime mean, C locale and UTC. Left out are those that put a slash, a colon or a
 * space into a name (`%c %D %e %n %r %R %t %T %x %X`).
 */
const directives = new Map<string, (time: Date) => string>([
  ['a', time => (days[time.getUTCDay()] ?? '').slice(0, 3)],
  ['A', time => days[time.getUTCDay()] ?? ''],
  ['b', time => (months[time.getUTCMonth()] ?? '').slice(0, 3)],
  ['B', time => months[time.getUTCMonth()] ?? ''],
  ['C', time => padded(Math.floor(time.getUTCFullYear() / 100), 2)],
  ['d', time => padded(time.getUTCDate(), 2)],
  ['f', time => padded(time.getUTCMilliseconds() * 1000, 6)],
  ['F', time => time.toISOString().slice(0, 10)],
  ['G', time => String(thursdayOfWeek(time).getUTCFullYear())],
  ['g', time => padded(thursdayOfWeek(time).getUTCFullYear() % 100, 2)],
  ['h', time => (months[time.getUTCMonth()] ?? '').slice(0, 3)],
  ['H', time => padded(time.getUTCHours(), 2)],
  ['I', time => padded(time.getUTCHours() % 12 || 12, 2)],
  ['j', time => padded(dayOfYear(time) + 1, 3)],
  ['m', time => padded(time.getUTCMonth() + 1, 2)],
  ['M', time => padded(time.getUTCMinutes(), 2)],
  ['p', time => time.getUTCHours() < 12 ? 'AM' : 'PM'],
  ['s', time => String(Math.floor(time.getTime() / 1000))],
  ['S', time => padded(time.getUTCSeconds(), 2)],
  ['u', time => String(isoWeekday(time))],
  ['U', time => padded(Math.floor((dayOfYear(time) + 7 - time.getUTCDay()) / 7), 2)],
  ['V', time => padded(Math.floor(dayOfYear(thursdayOfWeek(time)) / 7) + 1, 2)],
  ['w', time => String(time.getUTCDay())],
  ['W', time => padded(Math.floor((dayOfYear(time) + 8 - isoWeekday(time)) / 7), 2)],
  ['y', time => padded(time.getUTCFullYear() % 100, 2)],
  ['Y', time => padded(time.getUTCFullYear(), 4)],
  ['z', () => '+0000'],
  ['Z', () => 'UTC'],
  ['%', () => '%']
])

/**
 * Compiles a strftime pattern for names of folders, in UTC: `%Y/%m/%d` and most others of Python.
 * @returns a function of milliseconds since 1970
 * @throws {Error} for a directive that is unknown or makes no sense in a path
 */
export function compileStrftime (pattern: string): (milliseconds: number) => string {
  const parts: Array<string | ((time: Date) => string)> = []
  for (let at = 0; at < pattern.length;) {
    const percent = pattern.indexOf('%', at)
    if (percent === -1) {
      parts.push(pattern.slice(at))
      break
    }
    parts.push(pattern.slice(at, percent))
    const directive = directives.get(pattern.charAt(percent + 1))
    if (directive === undefined) {
      throw new Error(`"${pattern.slice(percent, percent + 2)}" in "${pattern}" is not a strftime directive for paths`)
    }
    parts.push(directive)
    at = percent + 2
  }
  return milliseconds => {
    const time = new Date(milliseconds)
    return parts.map(part => typeof part === 'string' ? part : part(time)).join('')
  }
}
