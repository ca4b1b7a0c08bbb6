// Vectors of a video's clips from a Triton server, by stubs that are made of kserve.proto.
//
//   npm install @grpc/grpc-js @grpc/proto-loader
//   node examples/video_grpc.js video.mp4 [HOST:PORT [VIEWS]]
const fs = require("fs"), path = require("path");
const grpc = require("@grpc/grpc-js"), loader = require("@grpc/proto-loader");

const [file, url = "127.0.0.1:8001", views = "rgb"] = process.argv.slice(2);
const protocol = loader.loadSync(path.join(__dirname, "kserve.proto"), { keepCase: true, longs: Number });
const { GRPCInferenceService } = grpc.loadPackageDefinition(protocol).inference;
const client = new GRPCInferenceService(url, grpc.credentials.createInsecure());

const video = fs.readFileSync(file);
const request = {
  model_name: "cocon_video",
  parameters: { views: { string_param: views }, name: { string_param: file } },
  inputs: [{ name: "video", datatype: "UINT8", shape: [video.length] }],
  outputs: ["start_seconds", "end_seconds", "embedding"].map((name) => ({ name })),
  raw_input_contents: [video],
};
client.ModelInfer(request, (error, response) => {
  if (error) { console.error(error.details); process.exit(1); }
  const raw = Object.fromEntries(response.outputs.map(({ name }, i) => [name, Uint8Array.from(response.raw_output_contents[i]).buffer]));
  const [starts, ends] = [raw.start_seconds, raw.end_seconds].map((bytes) => new Float64Array(bytes));
  const values = new Float32Array(raw.embedding), D = values.length / starts.length;
  starts.forEach((start, k) => console.log(JSON.stringify({ start_seconds: start, end_seconds: ends[k], embedding: [...values.slice(k * D, (k + 1) * D)] })));
});
