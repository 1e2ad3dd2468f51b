use super::*;

async fn call(sqs: &Sqs, operation: &str, request: Value) -> Answer {
    sqs.call(operation, request.as_object().unwrap()).await
}

async fn with_queue(file: Option<&Path>) -> Sqs {
    let sqs = Sqs::open("http://127.0.0.1:1".into(), file).unwrap();
    call(&sqs, "CreateQueue", json!({"QueueName": "dead"})).await.unwrap();
    let redrive = json!({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1}).to_string();
    let attributes = json!({"VisibilityTimeout": "0", "RedrivePolicy": redrive});
    let create = json!({"QueueName": "work", "Attributes": attributes});
    call(&sqs, "CreateQueue", create).await.unwrap();
    sqs
}

#[tokio::test]
async fn a_message_that_fails_too_often_is_found_in_the_dead_letter_queue() {
    let sqs = with_queue(None).await;
    let url = sqs.url("work");
    call(&sqs, "SendMessage", json!({"QueueUrl": url, "MessageBody": "x"})).await.unwrap();

    let first = call(&sqs, "ReceiveMessage", json!({"QueueUrl": url})).await.unwrap();
    let second = call(&sqs, "ReceiveMessage", json!({"QueueUrl": url})).await.unwrap();
    let dead = json!({"QueueUrl": sqs.url("dead")});
    let dead = call(&sqs, "ReceiveMessage", dead).await.unwrap();

    assert_eq!(first["Messages"][0]["Body"], "x");
    assert_eq!(second, json!({}));
    assert_eq!(dead["Messages"][0]["MessageId"], first["Messages"][0]["MessageId"]);
}

#[tokio::test]
async fn a_long_poll_ends_with_the_message_that_arrives() {
    let sqs = with_queue(None).await;
    let url = sqs.url("work");
    let poll = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let send = json!({"QueueUrl": url, "MessageBody": "x"});

    let (received, sent) =
        tokio::join!(call(&sqs, "ReceiveMessage", poll), call(&sqs, "SendMessage", send));

    assert_eq!(received.unwrap()["Messages"][0]["MessageId"], sent.unwrap()["MessageId"]);
}

#[tokio::test]
async fn an_accepted_message_outlives_the_process_and_a_deleted_one_does_not() {
    let path = std::env::temp_dir().join(format!("farebox-sqs-{}", request_id()));
    let sqs = with_queue(Some(&path)).await;
    let url = sqs.url("work");
    for body in ["kept", "deleted"] {
        let send = json!({"QueueUrl": url, "MessageBody": body});
        call(&sqs, "SendMessage", send).await.unwrap();
    }
    let receive = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
    let received = call(&sqs, "ReceiveMessage", receive).await.unwrap();
    let receipt = &received["Messages"][1]["ReceiptHandle"];
    let delete = json!({"QueueUrl": url, "ReceiptHandle": receipt});
    call(&sqs, "DeleteMessage", delete).await.unwrap();
    drop(sqs);

    let again = Sqs::open("http://127.0.0.1:2".into(), Some(&path)).unwrap();

    assert_eq!(again.depth("work").unwrap().visible, 1);
    let bodies = again.receive("work", 10, None, Duration::ZERO).await.unwrap();
    assert_eq!(bodies[0].sent.body, "kept");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_unknown_queue_is_named_as_the_sdk_expects() {
    let sqs = with_queue(None).await;

    let error = call(&sqs, "GetQueueUrl", json!({"QueueName": "none"})).await.unwrap_err();

    assert_eq!(error.kind, "QueueDoesNotExist");
    assert_eq!(error.query_code, Some("AWS.SimpleQueueService.NonExistentQueue"));
}

#[tokio::test]
async fn a_batch_has_between_one_and_ten_entries() {
    let sqs = with_queue(None).await;
    let entry = |id: usize| json!({"Id": id.to_string(), "MessageBody": "x"});
    let batch = |n: usize| {
        let entries: Vec<_> = (0..n).map(entry).collect();
        json!({"QueueUrl": sqs.url("work"), "Entries": entries})
    };

    let none = call(&sqs, "SendMessageBatch", batch(0)).await.unwrap_err();
    let ten = call(&sqs, "SendMessageBatch", batch(10)).await.unwrap();
    let eleven = call(&sqs, "SendMessageBatch", batch(11)).await.unwrap_err();

    assert_eq!(none.kind, "EmptyBatchRequest");
    assert_eq!(ten["Successful"].as_array().unwrap().len(), 10);
    assert_eq!(eleven.kind, "TooManyEntriesInBatchRequest");
}
