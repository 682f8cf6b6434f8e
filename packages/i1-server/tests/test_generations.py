import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import numpy as np
import openai
import pytest
from i1_sample import Pipeline
from PIL import Image
from served import body, read_events


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def assert_same(left, right):
    """The same picture, to float rounding."""
    assert left.shape == right.shape
    assert np.abs(left - right).max() <= 1
    assert np.asarray(left).std() > 1, "a picture of one colour proves nothing"


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_official_client_works_unchanged(client):
    assert [model.id for model in client.models.list()] == ["scenes"]
    assert client.models.retrieve("scenes").owned_by == "i1"
    answer = client.images.generate(
        prompt="a red circle",
        model="scenes",
        n=2,
        size="64x64",
        response_format="b64_json",
        quality="auto",
        user="me",
        extra_body={"seed": 0, "num_inference_steps": 2},
    )
    assert len(answer.data) == 2
    assert [picture.seed for picture in answer.data] == [0, 0]
    assert pixels(answer.data[0].b64_json).shape == (64, 64, 3)


def test_the_official_client_streams_previews(client):
    stream = client.images.generate(
        prompt="a red circle", stream=True, partial_images=2, extra_body={"seed": 3, "num_inference_steps": 6}
    )
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    last = [pixels(event.b64_json) for event in events]
    assert np.abs(last[0] - last[2]).max() > 1


def test_the_official_client_raises_its_own_errors(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="a star", size="63x64")
    assert caught.value.param == "size"
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(prompt="a star", model="other")
    assert caught.value.code == "model_not_found"
    assert "scenes" in caught.value.message


def test_a_picture_is_that_of_the_pipeline_alone_in_a_batch_and_from_its_own_record(server):
    fields = {"seed": 7, "guidance_scale": 3.0, "negative_prompt": "a blue square"}
    answer = server.generate("a red circle", n=3, **fields).json()
    several = [pixels(item["b64_json"]) for item in answer["data"]]
    alone = Pipeline.from_pretrained("scenes")(
        "a red circle", num_inference_steps=2, num_images_per_prompt=3, output_type="np", **fields
    )
    for left, right in zip(several, alone.images, strict=True):
        assert_same(left, right.astype(int))

    record = json.loads(Image.open(io.BytesIO(base64.b64decode(answer["data"][2]["b64_json"]))).text["i1"])
    names = (
        "prompt",
        "negative_prompt",
        "seed",
        "num_inference_steps",
        "guidance_scale",
        "solver",
        "time_grid",
    )
    again = {name: record[name] for name in (*names, "solver", "time_grid", "guidance")}
    size = f"{record['width']}x{record['height']}"
    made = server.client.post(
        "/v1/images/generations", json={**again, "size": size, "first_index": record["index"]}
    )
    assert made.status_code == 200, made.text
    assert_same(several[2], pixels(made.json()["data"][0]["b64_json"]))


def test_parallel_requests_share_batches_and_get_their_own_pictures(server):
    prompts = ["a red circle", "a blue square", "a yellow star", "a green ring"]
    alone = [server.generate(prompt, seed=seed).json() for seed, prompt in enumerate(prompts)]
    before = batches(server)
    with ThreadPoolExecutor(16) as pool:
        asked = [(seed % 4, prompts[seed % 4]) for seed in range(16)]
        answers = list(pool.map(lambda item: server.generate(item[1], seed=item[0]), asked))
    for number, answer in enumerate(answers):
        assert answer.status_code == 200, answer.text
        assert_same(
            pixels(answer.json()["data"][0]["b64_json"]), pixels(alone[number % 4]["data"][0]["b64_json"])
        )
    assert batches(server) - before < 16


def batches(server):
    for line in server.client.get("/metrics").text.splitlines():
        if line.startswith("i1_batch_pictures_count"):
            return float(line.split()[1])
    raise AssertionError("no batch was counted")


def test_without_a_seed_one_is_drawn_and_reported_and_works(server):
    first, second = (server.generate().json()["data"][0] for _ in range(2))
    assert first["seed"] != second["seed"]
    again = server.generate(seed=first["seed"]).json()["data"][0]
    assert_same(pixels(first["b64_json"]), pixels(again["b64_json"]))


def test_a_picture_can_be_fetched_by_its_address(server):
    item = server.generate(response_format="url", seed=1).json()["data"][0]
    answer = httpx.get(item["url"])
    assert answer.headers["content-type"] == "image/png"
    inline = server.generate(seed=1).json()["data"][0]["b64_json"]
    assert_same(pixels(base64.b64encode(answer.content)), pixels(inline))
    for wrong in (item["url"].replace("/0.png", "/1.png"), item["url"].replace("/0.png", "/..%2f0.png")):
        assert httpx.get(wrong).status_code == 404


def test_a_client_that_leaves_ends_its_request_while_health_answers(server):
    before = outcomes(server)
    with server.client.stream(
        "POST", "/v1/images/generations", json=body(stream=True, partial_images=16, num_inference_steps=400)
    ) as response:
        next(read_events(response))
        assert server.client.get("/healthz").json()["status"] == "ok"
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/images/generations", json=body(num_inference_steps=5000), timeout=1)
    assert server.generate().status_code == 200
    deadline = time.monotonic() + 60
    while outcomes(server)["cancelled"] < before.get("cancelled", 0) + 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def outcomes(server):
    lines = [line for line in server.client.get("/metrics").text.splitlines() if "i1_requests_total{" in line]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_a_full_queue_says_when_to_come_back_and_harms_nobody(server):
    job = server.client.post("/v1/jobs", json=body(num_inference_steps=5000)).json()
    held = []
    try:
        while job_of(server, job["id"])["status"] == "queued":
            time.sleep(0.05)
        for _ in range(4):
            held.append(server.client.post("/v1/jobs", json=body(n=8)).json()["id"])
        full = server.generate()
        assert full.status_code == 429
        assert int(full.headers["Retry-After"]) >= 1
        assert full.json()["error"]["code"] == "queue_full"
    finally:
        server.client.delete(f"/v1/jobs/{job['id']}")
    for name in held:
        while job_of(server, name)["status"] in ("queued", "running"):
            time.sleep(0.05)
        assert job_of(server, name)["status"] == "completed"
    assert server.generate().status_code == 200


def job_of(server, name):
    return server.client.get(f"/v1/jobs/{name}").json()


def test_one_abort_among_twenty_leaves_nineteen_right_pictures(server):
    expected = pixels(server.generate(seed=5).json()["data"][0]["b64_json"])
    blocker = server.client.post("/v1/jobs", json=body(num_inference_steps=5000)).json()["id"]
    answers = []

    def ask():
        with httpx.Client(base_url=server.address, timeout=300) as client:
            answers.append(client.post("/v1/images/generations", json=body(seed=5)))

    threads = [threading.Thread(target=ask) for _ in range(19)]
    for thread in threads:
        thread.start()
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/images/generations", json=body(seed=5), timeout=1)
    server.client.delete(f"/v1/jobs/{blocker}")
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 19
    for answer in answers:
        assert_same(pixels(answer.json()["data"][0]["b64_json"]), expected)
