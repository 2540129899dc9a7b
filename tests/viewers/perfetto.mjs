// Runs Perfetto's trace processor, as its UI ships it, on one trace: prints the rows of SQL queries.
//
// node perfetto.mjs FOLDER TRACE SQL...   FOLDER has engine_bundle.js and trace_processor*.wasm
//
// The UI runs this engine in a web worker and speaks to it in messages of protobuf:
// protos/perfetto/trace_processor/trace_processor.proto, of which this writes and reads what it needs.
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import vm from 'node:vm';

const [folder, trace, ...queries] = process.argv.slice(2);
const APPEND = 1, FINALISE = 2, QUERY = 3;  // TraceProcessorMethod
const VARINT = 2, FLOAT = 3, STRING = 4;  // QueryResult.CellsBatch.CellType; NULL is 1

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field, data) => Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);

function* varints(data) {
  for (let at = 0; at < data.length;) {
    let value = 0n, shift = 0n;
    for (let more = true; more; shift += 7n) {
      more = data[at] > 127;
      value |= BigInt(data[at++] & 127) << shift;
    }
    yield BigInt.asIntN(64, value);
  }
}

function* fields(data) {
  for (let at = 0; at < data.length;) {
    const read = () => {
      const end = data.findIndex((byte, index) => index >= at && byte < 128) + 1;
      const [value] = varints(data.subarray(at, end));
      at = end;
      return Number(value);
    };
    const tag = read();
    if ((tag & 7) === 0) yield [tag >> 3, read()];
    else if ((tag & 7) === 2) {
      const size = read();
      yield [tag >> 3, data.subarray(at, at += size)];
    } else throw new Error(`wire type ${tag & 7}`);
  }
}

const all = (message, field) => [...fields(message)].filter(([f]) => f === field).map(([, v]) => v);

function* rows(results) {
  const names = results.flatMap((result) => all(result, 1).map(String));
  let row = [];
  for (const batch of results.flatMap((result) => all(result, 3))) {
    const integers = all(batch, 2).flatMap((data) => [...varints(data)]);
    const floats = all(batch, 3).flatMap((data) =>
      Array.from({length: data.length / 8}, (_, i) => Buffer.from(data).readDoubleLE(8 * i)));
    const texts = all(batch, 5).flatMap((data) => Buffer.from(data).toString().split('\0'));
    for (const kind of all(batch, 1).flatMap((data) => [...varints(data)].map(Number))) {
      row.push({[VARINT]: () => Number(integers.shift()), [FLOAT]: () => floats.shift(),
        [STRING]: () => texts.shift()}[kind]?.() ?? null);
      if (row.length === names.length) {
        yield Object.fromEntries(names.map((name, i) => [name, row[i]]));
        row = [];
      }
    }
  }
}

const replies = [];
const port = {
  postMessage(reply) {
    replies.push(...all(Buffer.from(reply), 1));
  },
};
class FileRequest {  // the engine fetches its WebAssembly at once
  open(_method, name) {
    this.name = name;
  }

  send() {
    this.response = new Uint8Array(readFileSync(join(folder, this.name))).buffer;
  }
}
const worker = {location: {href: 'https://ui.perfetto.dev/engine_bundle.js'}};
vm.runInNewContext(readFileSync(join(folder, 'engine_bundle.js'), 'utf8'), {
  self: worker, WorkerGlobalScope: Object, XMLHttpRequest: FileRequest, Uint8Array, TextDecoder, URL,
  console: {log() {}, warn() {}, error() {}}, performance, setTimeout, setInterval, clearInterval,
}, {displayErrors: false});
await new Promise((done) => setTimeout(done));  // the engine is ready in its next turn
worker.onmessage({data: port});

let sequence = 0;
function call(method, ...args) {
  replies.length = 0;
  const rpc = Buffer.concat([number(1, ++sequence), number(2, method), ...args]);
  port.onmessage({data: new Uint8Array(bytes(1, rpc))});
  return [...replies];
}

call(APPEND, bytes(101, readFileSync(trace)));
call(FINALISE);
const answers = [];
for (const sql of queries) {
  const results = (call(QUERY, bytes(103, bytes(1, Buffer.from(sql))))).flatMap((m) => all(m, 203));
  const [error] = results.flatMap((result) => all(result, 2)).map(String);
  if (error) throw new Error(`${sql}: ${error}`);
  answers.push([...rows(results)]);
}
console.log(JSON.stringify(answers));
