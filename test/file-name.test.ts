import t from 'tap'
import { cleanFileName } from '../src/file-name.js'

const cases: ReadonlyArray<readonly [text: string, name: string]> = [
  ['film.mp4', 'film.mp4'], ['../../etc/passwd', 'passwd'], ['C:\\temp\\a.txt', 'a.txt'], ['/a/b', 'b'], ['a/', ''], ['..', ''], ['.', ''],
  ['', ''], ['  a b  ', 'a b'], ['a\0b\r\n\u0007c', 'abc'], ['\u0000', ''], ['.hidden', '.hidden'], ['...', '...'],
  ['evil.php.', 'evil.php'], ['a. . ', 'a'],
  ['grüße 日本語 🎬', 'grüße 日本語 🎬'], ['half \ud83c', 'half \ufffd'], ['a\u007fb\u0085c', 'abc']
]

for (const [text, name] of cases) {
  t.test(`${JSON.stringify(text)} becomes ${JSON.stringify(name)}`, async t => { t.equal(cleanFileName(text), name) })
}

// Without a title, in which these would break the line.
t.test('line breaks of Unicode and what turns the direction of writing are left out', async t => {
  t.equal(cleanFileName('a\u2028b\u2029c'), 'abc')
  t.equal(cleanFileName('x\u202egnp.exe'), 'xgnp.exe')
})
