import t from 'tap'
import { dispositionFilename } from '../../../src/http/fields/content-disposition.js'

const cases: ReadonlyArray<readonly [header: string | undefined, filename: string | undefined]> = [
  ['attachment; filename="film.mp4"', 'film.mp4'],
  ['attachment; filename=film.mp4', 'film.mp4'],
  ['attachment; FileName = "film.mp4" ; x=y', 'film.mp4'],
  ['attachment; filename="a;b\\"c.mp4"; x=y', 'a;b"c.mp4'],
  ['form-data; name="file"; filename="a"; filename="b"', 'a'],
  ["attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.mp4", 'grüße.mp4'],
  ["attachment; filename=\"x\"; filename*=utf-8'de'gr%C3%BC%C3%9Fe.mp4", 'grüße.mp4'],
  ["attachment; filename*=ISO-8859-1''gr%FC%DFe.mp4", 'grüße.mp4'],
  ["attachment; filename=\"x.mp4\"; filename*=UTF-8''%E0%A4%A", 'x.mp4'],
  ["attachment; filename=\"x.mp4\"; filename*=koi8-r''%C1", 'x.mp4'],
  ['attachment; filename="x.mp4"; filename*=nonsense', 'x.mp4'],
  ['attachment; filename="gr%C3%BC%C3%9Fe.mp4"', 'grüße.mp4'],
  ['attachment; filename="100%.mp4"', '100%.mp4'],
  [Buffer.from('attachment; filename="grüße.mp4"').toString('latin1'), 'grüße.mp4'],
  ['attachment; filename="gr\u00fc\u00dfe.mp4"', 'grüße.mp4'],
  ['attachment; filename=""', ''],
  ['attachment; filename="', undefined],
  ['attachment; filename', undefined],
  ['attachment', undefined],
  ['', undefined],
  [undefined, undefined],
  ['filename="no type"', undefined]
]

for (const [header, filename] of cases) {
  t.test(`the file name of ${header ?? 'no header'}`, async t => { t.equal(dispositionFilename(header), filename) })
}
