{{ config(materialized='incremental', unique_key='day') }}
select day, sum(amount) as total from {{ ref('orders') }}
{% if is_incremental() %} where day > (select max(day) from {{ this }}) {% endif %}
group by day
