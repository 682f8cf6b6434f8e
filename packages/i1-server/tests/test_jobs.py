import time

from served import body, read_events


def start_job(server, **fields):
    answer = server.client.post("/v1/jobs", json=body(**fields))
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()


def job_of(server, name):
    return server.client.get(f"/v1/jobs/{name}").json()


def wait_for(server, name, *statuses):
    while (job := job_of(server, name))["status"] not in statuses:
        time.sleep(0.05)
    return job


def test_a_job_finishes_without_a_client_and_its_pictures_can_be_fetched(server):
    started = start_job(server, n=2, seed=4, user="me")
    job = wait_for(server, started["id"], "completed", "failed", "cancelled")
    assert job["status"] == "completed"
    assert (job["seed"], job["n"], job["user"], job["size"]) == (4, 2, "me", "64x64")
    assert job["steps_done"] == [2, 2]
    assert [item["index"] for item in job["data"]] == [0, 1]
    for item in job["data"]:
        assert server.client.get(item["url"]).content.startswith(b"\x89PNG")
    assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 409


def test_the_events_of_a_job_tell_every_step_and_end_with_the_job(server):
    started = start_job(server, num_inference_steps=6, partial_images=2)
    with server.client.stream("GET", f"/v1/jobs/{started['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = list(read_events(response))
    assert events[0]["type"] == "job.status"
    assert events[-1]["job"]["status"] == "completed"
    steps = [event["step"] for event in events if event["type"] == "job.progress"]
    assert steps == sorted(steps)
    assert steps[-1] == 6
    assert "image_generation.completed" in {event["type"] for event in events}
    with server.client.stream("GET", f"/v1/jobs/{started['id']}/events") as response:
        late = [event["type"] for event in read_events(response)]
    assert late[0] == late[-1] == "job.status"
    assert "image_generation.completed" in late


def test_queued_and_running_jobs_are_cancelled_by_their_id(server):
    running = start_job(server, num_inference_steps=5000)
    wait_for(server, running["id"], "running")
    queued = start_job(server, seed=8, num_inference_steps=4)
    assert queued["status"] == "queued"
    for name in (queued["id"], running["id"]):
        assert server.client.delete(f"/v1/jobs/{name}").json()["status"] == "cancelled"
        again = server.client.delete(f"/v1/jobs/{name}")
        assert again.status_code == 409
        assert again.json()["error"]["code"] == "job_ended"
    assert server.generate().status_code == 200
    assert job_of(server, running["id"])["steps_done"][0] < 5000


def test_jobs_are_listed_the_newest_first(server):
    names = [start_job(server, seed=seed)["id"] for seed in range(3)]
    listed = server.client.get("/v1/jobs").json()["data"]
    assert [job["id"] for job in listed[:3]] == names[::-1]
    few = server.client.get("/v1/jobs?limit=2").json()
    assert (len(few["data"]), few["has_more"]) == (2, True)
    assert server.generate(response_format="url").status_code == 200
    assert [job["id"] for job in server.client.get("/v1/jobs?limit=3").json()["data"]] == names[::-1]


def test_a_job_has_no_stream_of_its_own(server):
    answer = server.client.post("/v1/jobs", json=body(stream=True))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "stream"
